# ruff: noqa: RUF001 - sizes are written with a multiplication sign
"""Hand tools: spanners, screwdrivers, pliers, hammers, saws, measuring."""

from __future__ import annotations

from gateway.demo.assortment.family import Category, Family

_SPANNER = Family(
    code="SP",
    name="Combination Spanner {size} mm",
    description=(
        "Open-end and ring spanner {size} mm to DIN 3113, drop-forged chrome-vanadium steel, "
        "{length} mm long. The size for {use}."
    ),
    table="""
    sku  | price | size | length | use
    0008 |  4.60 | 8    | 120    | M5 hexagons
    0010 |  5.20 | 10   | 140    | M6 hexagons and battery terminals
    0013 |  6.40 | 13   | 170    | M8 hexagons
    0017 |  8.90 | 17   | 215    | M10 hexagons to the old standard
    0019 | 10.30 | 19   | 235    | M12 hexagons to the old standard
    0024 | 15.70 | 24   | 290    | M16 hexagons
    0030 | 23.90 | 30   | 345    | M20 hexagons
    """,
)
_SCREWDRIVER = Family(
    code="SD",
    name="Screwdriver {tip}, {blade} mm Blade{extra}",
    description=(
        "{tip} screwdriver with a {blade} mm blade of hardened steel and a two-component handle. "
        "Built for {use}."
    ),
    table="""
    sku  | price | tip          | blade | extra             | use
    SL40 |  4.10 | Slotted 4.0  | 100   |                   | terminal blocks and small screws
    SL55 |  4.80 | Slotted 5.5  | 125   |                   | switchgear and general fitting
    SL80 |  6.90 | Slotted 8.0  | 175   | , Hexagon Bolster | stubborn screws that need a spanner's help
    PH01 |  4.50 | Phillips PH1 | 80    |                   | appliances and instruments
    PH02 |  5.30 | Phillips PH2 | 100   |                   | drywall and cabinet work
    PZ02 |  5.40 | Pozidriv PZ2 | 100   |                   | chipboard screws and hinges
    TX20 |  5.60 | Torx T20     | 100   |                   | carcass screws and covers
    VD55 |  9.80 | Slotted 5.5  | 125   | , VDE 1000 V      | live work up to 1,000 V AC to IEC 60900
    VDP2 | 10.40 | Phillips PH2 | 100   | , VDE 1000 V      | distribution boards, insulated to IEC 60900
    """,
)
_PLIERS = Family(
    code="PL",
    name="{kind} {length} mm",
    description="{kind} {length} mm, forged from {steel}, with dipped grips. For {use}.",
    table="""
    sku  | price | kind                        | length | steel                 | use
    CB18 | 18.90 | Combination Pliers          | 180    | carbon tool steel     | gripping, bending and cutting wire
    DC16 | 19.60 | Diagonal Cutters            | 160    | chrome-vanadium steel | cutting copper and soft wire flush
    DC20 | 24.30 | Heavy-Duty Diagonal Cutters | 200    | chrome-vanadium steel | piano wire up to 2.5 mm
    LN20 | 20.80 | Long-Nose Pliers            | 200    | chrome-vanadium steel | reaching into switchboards
    WP25 | 27.50 | Water Pump Pliers           | 250    | chrome-vanadium steel | pipes and nuts up to 46 mm
    WP30 | 34.10 | Water Pump Pliers           | 300    | chrome-vanadium steel | pipes and nuts up to 60 mm
    WS18 | 31.40 | Wire Stripper               | 180    | special tool steel    | conductors from 0.2 to 6 mm²
    LG25 | 16.70 | Locking Pliers              | 250    | pressed alloy steel   | clamping work for welding
    """,
)
_HAMMER = Family(
    code="HM",
    name="{kind} {weight} g",
    description="{kind} with a {weight} g head and a {handle} handle. The tool for {use}.",
    table="""
    sku  | price | kind                    | weight | handle        | use
    EN03 | 11.20 | Engineer's Hammer       | 300    | ash           | centre punches and fine fitting
    EN05 | 12.90 | Engineer's Hammer       | 500    | hickory       | everyday fitting, to DIN 1041
    EN10 | 17.80 | Engineer's Hammer       | 1000   | hickory       | driving pins and straightening
    CL06 | 21.60 | Carpenter's Claw Hammer | 600    | tubular steel | roof timbers, with a magnetic nail holder
    RB04 |  9.40 | Rubber Mallet           | 450    | ash           | paving and panel work that must not mark
    DB06 | 38.50 | Dead-Blow Hammer        | 650    | fibreglass    | seating parts without rebound
    """,
)
_SAW = Family(
    code="SW",
    name="{kind}, {size}",
    description="{kind} ({size}) with {blade}. Cuts {use}.",
    table="""
    sku  | price | kind                      | size           | blade                         | use
    HS30 | 18.40 | Hacksaw Frame             | 300 mm         | a 24-teeth bimetal blade      | steel bar, conduit and plastics
    HB24 | 14.90 | Hacksaw Blades Pack of 10 | 300 mm, 24 TPI | flexible bimetal teeth        | mild steel and copper pipe
    HP50 | 17.60 | Hardpoint Handsaw         | 500 mm         | induction-hardened teeth      | softwood and board along or across the grain
    PB30 | 12.30 | Plasterboard Saw          | 150 mm         | a pointed double-ground blade | socket openings in plasterboard
    MT45 | 64.00 | Mitre Saw                 | 550 mm         | a tensioned fine-tooth blade  | skirting and mouldings from 22.5° to 90°
    """,
)
_MEASURE = Family(
    code="ME",
    name="{kind} {size}",
    description="{kind} {size}, {accuracy}. Reads {use}.",
    table="""
    sku  | price | kind               | size        | accuracy                      | use
    TP03 |  6.20 | Tape Measure       | 3 m × 16 mm | accuracy class II             | inside and outside dimensions with a sliding hook
    TP05 |  8.70 | Tape Measure       | 5 m × 25 mm | accuracy class II             | spans of two metres without sagging
    TP08 | 14.80 | Tape Measure       | 8 m × 27 mm | accuracy class I              | both faces of a nylon-coated blade
    SL40 | 15.60 | Spirit Level       | 400 mm      | accurate to 0.5 mm/m          | horizontal and vertical through shatterproof vials
    SL80 | 26.90 | Spirit Level       | 800 mm      | accurate to 0.5 mm/m          | door frames and studs, upright or overhead
    CP15 | 29.50 | Vernier Caliper    | 150 mm      | to DIN 862, 0.05 mm scale     | outside, inside, step and depth
    CD15 | 47.80 | Digital Caliper    | 150 mm      | resolution 0.01 mm, IP54      | millimetres and inches on a large display
    SQ30 | 11.90 | Carpenter's Square | 300 mm      | steel blade with etched scale | right angles and roof pitches
    """,
)
_WRENCH = Family(
    code="WR",
    name="{kind} {size}",
    description="{kind} {size} of {steel}; {use}.",
    table="""
    sku  | price | kind               | size                | steel                  | use
    AD08 | 16.30 | Adjustable Wrench  | 200 mm              | forged chrome-vanadium | opens to 29 mm with a laser-etched scale
    AD12 | 28.70 | Adjustable Wrench  | 300 mm              | forged chrome-vanadium | opens to 38 mm for pipe unions
    HK09 | 13.80 | Hex Key Set        | 1.5–10 mm, 9 Pieces | hardened S2 steel      | long arms with ball ends, in a clip
    TK08 | 14.60 | Torx Key Set       | T10–T50, 8 Pieces   | hardened S2 steel      | held in a folding handle
    RS72 | 32.40 | Reversible Ratchet | 1/2 in, 72 Teeth    | chrome-molybdenum      | needs a swing of only five degrees
    SS24 | 79.00 | Socket Set         | 1/2 in, 24 Pieces   | chrome-vanadium        | sockets from 10 to 32 mm with extensions
    TW20 | 94.50 | Torque Wrench      | 1/2 in, 40–200 Nm   | chrome-vanadium        | clicks within ±4 % to ISO 6789
    """,
)

HAND_TOOLS = Category(
    code="HAN",
    families=(_SPANNER, _SCREWDRIVER, _PLIERS, _HAMMER, _SAW, _MEASURE, _WRENCH),
)
