# ruff: noqa: RUF001 - sizes are written with a multiplication sign
"""Packaging: cartons, tape, film, filling, envelopes, strapping."""

from __future__ import annotations

from gateway.demo.assortment.family import Category, Family

_CARTON = Family(
    code="CT",
    name="{kind} Carton {size} mm, Bundle of {pack}",
    description=(
        "{kind} corrugated carton, inside {size} mm, FEFCO 0201, brown. Holds {load}; "
        "a bundle has {pack}."
    ),
    table="""
    sku  | price | kind        | size            | pack | load
    S201 |  9.80 | Single-Wall | 200 × 150 × 100 | 25   | 10 kg of small parts
    S302 | 13.60 | Single-Wall | 300 × 200 × 150 | 25   | 15 kg of spares and samples
    S303 | 17.20 | Single-Wall | 300 × 300 × 300 | 25   | 15 kg of bulky light goods
    S403 | 21.90 | Single-Wall | 400 × 300 × 200 | 25   | 20 kg, four to a pallet layer's width
    S604 | 36.50 | Single-Wall | 600 × 400 × 300 | 20   | 20 kg and half a euro pallet's depth
    D403 | 29.80 | Double-Wall | 400 × 300 × 300 | 20   | 30 kg of tools and castings
    D604 | 41.70 | Double-Wall | 600 × 400 × 400 | 15   | 40 kg for export
    D806 | 56.00 | Double-Wall | 800 × 600 × 500 | 10   | 50 kg of furniture or machine parts
    """,
)
_TAPE = Family(
    code="TP",
    name="{kind} {size}, Pack of {pack}",
    description="{kind} {size}, {make}, pack of {pack}. For {use}.",
    table="""
    sku  | price | kind               | size         | pack | make                           | use
    PB50 | 11.40 | Packing Tape Brown | 50 mm × 66 m | 6    | polypropylene, low noise       | cartons up to 30 kg
    PC50 | 11.40 | Packing Tape Clear | 50 mm × 66 m | 6    | polypropylene, low noise       | cartons whose print must show
    PV50 | 16.80 | PVC Tape Brown     | 50 mm × 66 m | 6    | natural rubber adhesive        | recycled board and cold stores
    PA50 | 18.90 | Paper Tape         | 50 mm × 50 m | 6    | kraft with solvent-free glue   | parcels recycled in one piece
    FR50 | 14.20 | Fragile Tape       | 50 mm × 66 m | 6    | white with red print           | glass and instruments
    FI25 | 21.60 | Filament Tape      | 25 mm × 50 m | 6    | glass-fibre reinforced         | bundling pipes and bars
    MA30 |  9.70 | Masking Tape       | 30 mm × 50 m | 12   | crêpe, removable for five days | painting and labelling
    DI50 | 12.90 | Tape Dispenser     | 50 mm        | 1    | metal frame with brake         | sealing cartons with one hand
    """,
)
_FILM = Family(
    code="FM",
    name="{kind} {size}",
    description="{kind} {size}, {make}. Wraps {use}.",
    table="""
    sku  | price | kind                    | size                             | make                     | use
    ST17 | 34.80 | Hand Stretch Film Clear | 500 mm × 300 m, 6 Rolls          | 17 µm cast polyethylene  | light and even pallets
    ST23 | 44.60 | Hand Stretch Film Clear | 500 mm × 300 m, 6 Rolls, 23 µm   | strong cast polyethylene | heavy or sharp-edged pallets
    SB23 | 47.90 | Hand Stretch Film Black | 500 mm × 300 m, 6 Rolls          | 23 µm, opaque            | pallets that should not show their load
    MS23 | 62.00 | Machine Stretch Film    | 500 mm × 1,700 m, 1 Roll         | 23 µm, 180 % pre-stretch | pallets on a turntable
    PF40 | 29.50 | Pallet Cover Sheets     | 1,300 × 1,600 mm, Roll of 100    | 40 µm polyethylene       | pallet tops against dust and rain
    SH25 | 38.70 | Shrink Hood             | 1,250 × 850 × 1,800 mm, 15 Hoods | 120 µm polyethylene      | euro pallets weather-tight
    """,
)
_FILL = Family(
    code="FL",
    name="{kind}, {size}",
    description="{kind}, {size}, {make}. Cushions {use}.",
    table="""
    sku  | price | kind                 | size                   | make                      | use
    BW50 | 16.90 | Bubble Wrap          | 500 mm × 100 m         | 60 µm with 10 mm bubbles  | boxed goods in transit
    BW10 | 29.80 | Bubble Wrap          | 1,000 mm × 100 m       | 60 µm with 10 mm bubbles  | furniture and panels
    BL10 | 37.40 | Large Bubble Wrap    | 1,000 mm × 50 m        | 100 µm with 25 mm bubbles | heavy glass and machine parts
    FO02 | 24.60 | Foam Sheet           | 1,000 mm × 125 m, 2 mm | white PE foam             | polished and painted faces
    CH40 | 28.50 | Starch Packing Chips | 400 l Bag              | compostable maize starch  | hollow spaces around small goods
    KP75 | 22.70 | Kraft Packing Paper  | 750 mm × 250 m         | 80 g/m² recycled          | layers between parts
    AC20 | 33.90 | Air Cushion Film     | 200 × 100 mm, 300 m    | 20 µm, for desk machines  | parcels with almost no weight
    """,
)
_MAILER = Family(
    code="ML",
    name="{kind} {size}, Box of {pack}",
    description="{kind} {size}, {make}, box of {pack}. Sends {use}.",
    table="""
    sku  | price | kind             | size         | pack | make                        | use
    PC05 | 19.80 | Padded Envelope  | 200 × 275 mm | 100  | kraft with bubble lining    | small parts by letter post
    PC08 | 27.60 | Padded Envelope  | 290 × 370 mm | 100  | kraft with bubble lining    | A4 manuals and textiles
    BK05 | 34.90 | Book Mailer      | 310 × 220 mm | 50   | micro-flute with tear strip | catalogues and binders
    PO04 | 14.50 | Poly Mailing Bag | 350 × 450 mm | 100  | opaque 60 µm, two seals     | workwear and returns
    DO01 | 17.30 | Document Pouch   | DIN Long     | 1000 | self-adhesive, printed      | delivery notes outside a carton
    TU60 | 32.40 | Mailing Tube     | 610 × 60 mm  | 25   | spiral-wound with end caps  | drawings and posters
    """,
)
_STRAP = Family(
    code="SR",
    name="{kind}, {size}",
    description="{kind}, {size}: {make}. For {use}.",
    table="""
    sku  |  price | kind                    | size                   | make                       | use
    PP12 |  26.80 | Polypropylene Strapping | 12 mm × 2,000 m        | 1,250 N, 200 mm core       | cartons and light bundles
    PE16 |  54.00 | Polyester Strapping     | 16 mm × 1,000 m        | 4,600 N, embossed          | bricks, timber and steel
    CO16 |  39.50 | Cord Strapping          | 16 mm × 850 m          | woven polyester, 450 kg    | machines and export crates
    BU16 |  21.90 | Wire Buckles            | 16 mm, Box of 1,000    | phosphated steel           | cord and woven strap
    TE16 |  84.00 | Strap Tensioner         | 13–16 mm               | windlass with cutter       | plastic strap of any kind
    KI12 | 119.00 | Strapping Kit           | 12 mm on a Trolley     | strap, tools and 500 seals | the start of a packing bench
    EP40 |  18.60 | Edge Protectors         | 50 × 50 mm, 100 Pieces | solid board                | corners under strap tension
    """,
)
_LABEL = Family(
    code="LA",
    name="{kind} {size}, {pack}",
    description="{kind} {size}, {pack}, {make}. Made for {use}.",
    table="""
    sku  | price | kind                  | size         | pack             | make                       | use
    TH10 | 22.40 | Thermal Labels        | 100 × 150 mm | 4 Rolls of 500   | direct thermal, 25 mm core | parcel carriers
    TH50 | 14.80 | Thermal Labels        | 50 × 25 mm   | 6 Rolls of 1,000 | direct thermal, 25 mm core | shelf and bin codes
    LS24 | 12.90 | Laser Labels          | 70 × 37 mm   | 100 Sheets of 24 | matt white, permanent      | addresses and parts
    FR01 |  9.60 | Fragile Labels        | 100 × 50 mm  | Roll of 500      | red print on white         | parcels that need care
    UP01 | 10.40 | This-Way-Up Labels    | 74 × 105 mm  | Roll of 500      | black arrows on white      | upright goods
    GH09 | 16.70 | Hazard Labels Class 9 | 100 × 100 mm | Roll of 250      | ADR, seawater-proof        | lithium batteries and the like
    TG12 | 18.20 | Wired Tags            | 120 × 60 mm  | Box of 500       | manila with a metal eyelet | repairs and returns
    PE10 | 11.30 | Pallet Labels A5      | 148 × 210 mm | 2 Rolls of 250   | thermal transfer           | SSCC pallet codes
    """,
)

PACKAGING = Category(
    code="PAC",
    families=(_CARTON, _TAPE, _FILM, _FILL, _MAILER, _STRAP, _LABEL),
)
