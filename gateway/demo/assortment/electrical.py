# ruff: noqa: RUF001 - sizes are written with a multiplication sign
"""Electrical: cable, protection, sockets, lighting, connectors."""

from __future__ import annotations

from gateway.demo.assortment.family import Category, Family

_CABLE = Family(
    code="CA",
    name="{kind} {size} mm², {length} m {form}",
    description=(
        "{kind} {size} mm² with copper conductors, {sheath}, supplied as a {length} m {form}. "
        "For {use}."
    ),
    table="""
    sku  |  price | kind                 | size    | length | form | sheath                     | use
    N315 |  46.00 | Sheathed Cable NYM-J | 3 × 1.5 | 50     | Coil | grey PVC                   | lighting circuits under plaster
    N325 |  74.00 | Sheathed Cable NYM-J | 3 × 2.5 | 50     | Coil | grey PVC                   | socket circuits under plaster
    N515 |  79.00 | Sheathed Cable NYM-J | 5 × 1.5 | 50     | Coil | grey PVC                   | two-way switching and shutters
    N525 | 248.00 | Sheathed Cable NYM-J | 5 × 2.5 | 100    | Drum | grey PVC                   | three-phase sockets and machines
    H315 |  68.00 | Rubber Cable H07RN-F | 3 × 1.5 | 50     | Coil | black oil-resistant rubber | tools and lamps on site
    H325 |  97.00 | Rubber Cable H07RN-F | 3 × 2.5 | 50     | Coil | black oil-resistant rubber | pumps and compressors out of doors
    W015 |  21.50 | Single Wire H07V-K   | 1 × 1.5 | 100    | Coil | blue flexible PVC          | wiring inside control cabinets
    W060 |  78.00 | Single Wire H07V-K   | 1 × 6.0 | 100    | Coil | green-yellow flexible PVC  | protective bonding
    """,
)
_BREAKER = Family(
    code="CB",
    name="{kind} {rating}, {poles}",
    description="{kind} {rating}, {poles}, for DIN rail, to {standard}. Protects {use}.",
    table="""
    sku  | price | kind                    | rating       | poles  | standard    | use
    B101 |  3.90 | Circuit Breaker         | B10, 6 kA    | 1-Pole | EN 60898-1  | lighting circuits
    B161 |  3.70 | Circuit Breaker         | B16, 6 kA    | 1-Pole | EN 60898-1  | socket circuits
    C161 |  5.20 | Circuit Breaker         | C16, 6 kA    | 1-Pole | EN 60898-1  | circuits with motors and transformers
    B163 | 16.80 | Circuit Breaker         | B16, 6 kA    | 3-Pole | EN 60898-1  | cookers and three-phase sockets
    C323 | 24.60 | Circuit Breaker         | C32, 10 kA   | 3-Pole | EN 60898-1  | workshop machines
    R402 | 29.90 | Residual Current Device | 40 A, 30 mA  | 2-Pole | EN 61008-1  | people on single-phase circuits
    R404 | 38.50 | Residual Current Device | 40 A, 30 mA  | 4-Pole | EN 61008-1  | people on three-phase circuits
    S004 | 89.00 | Surge Arrester Type 2   | 275 V, 20 kA | 4-Pole | EN 61643-11 | boards against switching surges
    """,
)
_SOCKET = Family(
    code="SO",
    name="{kind}, {rating}",
    description="{kind}, {rating}, {make}. Intended for {use}.",
    table="""
    sku  | price | kind                    | rating             | make                              | use
    WS01 |  4.80 | Flush Wall Socket       | 16 A 250 V         | white thermoplastic with shutters | offices and homes
    WS02 |  9.60 | Double Wall Socket      | 16 A 250 V         | for a single flush box            | retrofits without chiselling
    SS54 |  8.90 | Surface Socket with Lid | 16 A, IP54         | grey impact-proof housing         | cellars, garages and yards
    CE16 | 11.40 | CEE Wall Socket         | 16 A, 5-Pin, IP44  | red, 400 V, 6 h                   | three-phase machines
    CE32 | 17.90 | CEE Wall Socket         | 32 A, 5-Pin, IP44  | red, 400 V, 6 h                   | saws and welding sets
    CP16 |  6.70 | CEE Plug                | 16 A, 5-Pin, IP44  | screw terminals, strain relief    | three-phase leads up to 2.5 mm²
    EX10 | 32.80 | Extension Lead          | 10 m, H07RN-F      | rubber cable with lidded socket   | sites and gardens
    ER25 | 84.00 | Cable Reel              | 25 m, Four Sockets | steel frame and thermal cut-out   | sites, to EN 61242
    """,
)
_LIGHT = Family(
    code="LI",
    name="{kind}, {rating}",
    description="{kind}, {rating}: {light}. Suits {use}.",
    table="""
    sku  | price | kind                 | rating         | light                             | use
    BU09 |  3.60 | LED Bulb E27         | 9 W, Pack of 2 | 806 lm, warm white 2,700 K        | pendant lamps and corridors
    TU15 |  8.40 | LED Tube T8          | 18 W, 1500 mm  | 2,400 lm, neutral white 4,000 K   | retrofit of offices and stores
    PA60 | 34.50 | LED Panel 600 × 600  | 36 W, UGR < 19 | 4,300 lm, neutral white           | grid ceilings over screens
    BA15 | 42.80 | Damp-Proof Batten    | 50 W, IP65     | 6,000 lm through an opal cover    | workshops and car parks
    HB10 | 96.00 | LED High Bay         | 100 W, IP65    | 15,000 lm at a 90° beam           | halls from five metres height
    FL30 | 21.90 | LED Floodlight       | 30 W, IP65     | 3,300 lm on an adjustable bracket | façades and loading bays
    FS20 | 58.00 | Site Floodlight      | 50 W on Stand  | 5,000 lm with 3 m of rubber cable | evening work on site
    EM03 | 49.50 | Emergency Exit Light | 3 W, 3 h       | pictogram visible from 24 m       | escape routes to EN 1838
    """,
)
_CONNECTOR = Family(
    code="CO",
    name="{kind}, {size}, Box of {pack}",
    description="{kind}, {size}, {make}. A box of {pack} serves {use}.",
    table="""
    sku  | price | kind                   | size            | pack | make                        | use
    LV02 | 16.90 | Lever Connector        | 2 × 0.2–4 mm²   | 100  | transparent, tool-free      | joins of solid and stranded wire
    LV05 | 21.40 | Lever Connector        | 5 × 0.2–4 mm²   | 40   | transparent, tool-free      | junction boxes with many branches
    FE15 |  3.80 | Insulated Ferrules     | 1.5 mm² × 8 mm  | 500  | tin-plated copper, black    | control cabinets
    FE25 |  4.40 | Insulated Ferrules     | 2.5 mm² × 8 mm  | 500  | tin-plated copper, blue     | terminals in distribution boards
    TB12 | 13.60 | Terminal Strip, 12-Way | 2.5 mm²         | 10   | polyamide, can be cut apart | luminaires and small machines
    RT06 | 11.80 | Ring Terminals         | M6, 1.5–2.5 mm² | 100  | blue PVC insulation         | earthing and batteries
    """,
)
_CONDUIT = Family(
    code="CN",
    name="{kind}, {size}",
    description="{kind}, {size}, in {material}. Keeps {use}.",
    table="""
    sku  | price | kind                     | size                     | material                   | use
    FX20 | 17.50 | Corrugated Conduit       | M20, 50 m Coil           | halogen-free polypropylene | cables safe in concrete and screed
    FX25 | 22.90 | Corrugated Conduit       | M25, 50 m Coil           | halogen-free polypropylene | thicker cables replaceable
    TR40 | 14.20 | Mini Trunking            | 40 × 25 mm, 8 × 2 m      | self-adhesive white PVC    | visible runs tidy on walls
    TR60 | 31.60 | Slotted Cabinet Trunking | 60 × 40 mm, 10 × 2 m     | grey PVC with cover        | control wiring in order
    CT20 |  5.90 | Cable Ties               | 200 × 4.8 mm, Bag of 100 | UV-stable black polyamide  | looms bundled out of doors
    CT37 |  9.80 | Cable Ties               | 370 × 7.6 mm, Bag of 100 | UV-stable black polyamide  | heavy hoses and cables in place
    """,
)
_TESTER = Family(
    code="TE",
    name="{kind} {rating}",
    description="{kind} {rating}, {feature}. Shows {use}.",
    table="""
    sku  |  price | kind                       | rating        | feature                  | use
    VT01 |  14.90 | Non-Contact Voltage Tester | 12–1000 V     | with a torch in the tip  | live conductors through insulation
    VT02 |  62.00 | Two-Pole Voltage Tester    | 6–1000 V      | to EN 61243-3, IP65      | voltage, polarity and rotary field
    MM01 |  48.00 | Digital Multimeter         | CAT III 600 V | with automatic ranges    | voltage, current, resistance and continuity
    MM02 | 139.00 | TRMS Multimeter            | CAT IV 600 V  | with back-lit display    | true values behind inverters
    CM40 |  98.00 | Clamp Meter                | 400 A AC/DC   | with a 30 mm jaw         | current without opening the circuit
    IN10 | 289.00 | Installation Tester        | 230/400 V     | to EN 61557, with memory | loop, insulation and RCD values for the report
    """,
)

ELECTRICAL = Category(
    code="ELE",
    families=(_CABLE, _BREAKER, _SOCKET, _LIGHT, _CONNECTOR, _CONDUIT, _TESTER),
)
