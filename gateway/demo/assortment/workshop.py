# ruff: noqa: RUF001 - sizes are written with a multiplication sign
"""Workshop: storage, lifting, compressed air, welding, lubricants, adhesives, ladders."""

from __future__ import annotations

from gateway.demo.assortment.family import Category, Family

_STORAGE = Family(
    code="ST",
    name="{kind}, {size}",
    description="{kind}, {size}, {make}. Carries {load}.",
    table="""
    sku  |  price | kind                | size                          | make                               | load
    SR18 |  89.00 | Boltless Shelving   | 1,800 × 900 × 400 mm          | galvanised, five shelves           | 175 kg a shelf
    SR20 | 149.00 | Boltless Shelving   | 2,000 × 1,000 × 600 mm        | galvanised, five shelves           | 265 kg a shelf
    SB02 |  28.60 | Stacking Bins Blue  | 160 × 102 × 75 mm, Box of 25  | polypropylene                      | screws and small parts at 3 kg a bin
    SB04 |  46.80 | Stacking Bins Blue  | 350 × 210 × 145 mm, Box of 12 | polypropylene                      | castings and fittings at 20 kg a bin
    EB64 |  16.90 | Euro Container      | 600 × 400 × 220 mm            | food-safe polypropylene, grey      | 40 kg in conveyor systems
    AC44 |  39.50 | Small Parts Cabinet | 44 Drawers                    | steel frame, clear drawers         | an electrician's stock of sundries
    TC07 | 349.00 | Tool Trolley        | Seven Drawers                 | ball-bearing runners, central lock | 35 kg a drawer
    WB15 | 389.00 | Workbench           | 1,500 × 700 mm                | 40 mm beech top on a steel frame   | 600 kg spread over the top
    """,
)
_LIFT = Family(
    code="LF",
    name="{kind}, {size}",
    description="{kind}, {size}, {make}. Use it for {use}.",
    table="""
    sku  |  price | kind                  | size            | make                            | use
    PT25 | 289.00 | Hand Pallet Truck     | 2,500 kg        | 1,150 mm forks, tandem rollers  | euro pallets on level floors
    ST20 |  79.00 | Sack Truck            | 200 kg          | steel tube with pneumatic tyres | kerbs and cobbles
    PL30 | 119.00 | Platform Trolley      | 300 kg          | folding handle, 900 × 600 mm    | cartons through doors and lifts
    CH05 |  94.00 | Chain Hoist           | 500 kg, 3 m     | load brake, EN 13157            | engines and pump sets
    LH15 | 148.00 | Lever Hoist           | 1,500 kg, 1.5 m | alloy chain and safety hooks    | tensioning and lifting at an angle
    RS02 |   9.80 | Round Sling           | 2 t, 2 m        | green polyester, EN 1492-2      | painted and machined loads
    RS03 |  15.60 | Round Sling           | 3 t, 3 m        | yellow polyester, EN 1492-2     | heavier machine parts
    RA05 |  17.40 | Ratchet Lashing Strap | 5 t, 8 m        | 50 mm polyester, EN 12195-2     | freight on trucks
    SH17 |   6.90 | Bow Shackle           | 2 t             | forged and galvanised with pin  | slings, chains and eye bolts
    """,
)
_AIR = Family(
    code="AI",
    name="{kind}, {size}",
    description="{kind}, {size}, {make}. Made for {use}.",
    table="""
    sku  |  price | kind               | size              | make                           | use
    CO24 | 159.00 | Air Compressor     | 24 l, 8 bar       | oil-free, 1.1 kW               | blowing out, tyres and nailing
    CO50 | 329.00 | Air Compressor     | 50 l, 10 bar      | two cylinders, 2.2 kW          | impact wrenches and spray guns
    HO10 |  26.50 | Air Hose           | 10 m, 9 mm        | PVC with woven core, couplings | benches and bays
    HR15 |  98.00 | Air Hose Reel      | 15 m, 8 mm        | wall bracket, spring return    | floors without trip hazards
    BG01 |  12.80 | Blow Gun           | 100 mm Nozzle     | aluminium, adjustable flow     | chips and dust
    IW12 | 139.00 | Air Impact Wrench  | 1/2 in, 680 Nm    | twin hammer, 2.4 kg            | wheels and rusted bolts
    FR14 |  54.00 | Filter Regulator   | 1/4 in            | with gauge, 5 µm               | clean and steady pressure
    QC14 |  18.90 | Quick Coupling Set | 1/4 in, 10 Pieces | nickel-plated, DN 7.2          | hoses and tools of any make
    """,
)
_WELD = Family(
    code="WE",
    name="{kind}, {size}",
    description="{kind}, {size}, {make}. Joins {use}.",
    table="""
    sku  |  price | kind                | size               | make                         | use
    MG18 | 549.00 | MIG Inverter Welder | 180 A              | 230 V with synergic settings | steel from 0.8 to 8 mm
    EL16 | 229.00 | Electrode Inverter  | 160 A              | 230 V with hot start         | steel sections on site
    WI08 |  34.90 | Welding Wire SG2    | 0.8 mm, 15 kg      | copper-coated, G3Si1         | unalloyed steel under mixed gas
    WI10 |  33.80 | Welding Wire SG2    | 1.0 mm, 15 kg      | copper-coated, G3Si1         | heavier steel sections under mixed gas
    ER25 |  21.60 | Rutile Electrodes   | 2.5 × 350 mm, 5 kg | E 42 0 RR 12                 | thin steel in any position
    ER32 |  21.20 | Rutile Electrodes   | 3.2 × 350 mm, 5 kg | E 42 0 RR 12                 | plate and frames
    """,
)
_LUBE = Family(
    code="LU",
    name="{kind}, {size}",
    description="{kind}, {size}: {make}. Recommended for {use}.",
    table="""
    sku  | price | kind                 | size            | make                               | use
    MU40 |  5.90 | Multi-Purpose Spray  | 400 ml          | loosens, protects, displaces water | hinges, locks and contacts
    SI40 |  6.40 | Silicone Spray       | 400 ml          | colourless, up to 200 °C           | seals, runners and moulds
    BC50 |  3.80 | Brake Cleaner        | 500 ml          | acetone-free, no residue           | degreasing before assembly
    ZN40 |  7.90 | Zinc Spray           | 400 ml          | 98 % zinc in the dry film          | weld seams on galvanised steel
    MG40 | 34.60 | Multi-Purpose Grease | 12 × 400 g      | lithium soap, NLGI 2               | plain and rolling bearings
    HY20 | 74.00 | Hydraulic Oil HLP 46 | 20 l            | to DIN 51524-2                     | presses, lifts and tippers
    CF05 | 29.80 | Cutting Fluid        | 5 l Concentrate | boron-free, dosed at 6 %           | turning, milling and sawing
    """,
)
_ADHESIVE = Family(
    code="AD",
    name="{kind}, {size}",
    description="{kind}, {size}, {make}. Bonds {use}.",
    table="""
    sku  | price | kind                  | size                 | make                          | use
    TL24 | 11.90 | Threadlocker Medium   | 50 ml, Blue          | anaerobic, 20 Nm breakaway    | bolts that must come undone again
    TL27 | 12.80 | Threadlocker High     | 50 ml, Red           | anaerobic, 30 Nm breakaway    | studs meant to stay for good
    CA20 |  4.70 | Superglue             | 20 g                 | low-viscosity cyanoacrylate   | rubber, plastics and metal in seconds
    EP50 | 18.60 | Epoxy Adhesive        | 50 ml Twin Cartridge | five minutes to fix, 22 N/mm² | metal, stone and ceramics
    CN31 |  6.40 | Construction Adhesive | 310 ml, White        | solvent-free dispersion       | skirting, panels and insulation
    MS29 |  8.90 | MS Polymer Sealant    | 290 ml, Grey         | paintable, primer-free        | panels, gutters and vehicle bodies
    """,
)
_LADDER = Family(
    code="LD",
    name="{kind}, {size}",
    description="{kind}, {size}, {make}. Reaches {reach}.",
    table="""
    sku  |  price | kind                  | size         | make                           | reach
    ST05 |  79.00 | Step Ladder           | Five Treads  | aluminium, platform with rail  | 2.9 m safely
    ST08 | 129.00 | Step Ladder           | Eight Treads | aluminium, platform with rail  | 3.6 m safely
    CO39 | 189.00 | Combination Ladder    | 3 × 9 Rungs  | aluminium with stabiliser bar  | 6.2 m as an extension ladder
    TE38 | 159.00 | Telescopic Ladder     | 3.8 m        | aluminium, soft-close          | 4.5 m and folds to 90 cm
    SC02 | 549.00 | Mobile Scaffold Tower | 2.0 × 0.75 m | aluminium with brakes, EN 1004 | 5.0 m with guard rails all round
    HS02 |  34.50 | Hop-Up Platform       | 480 mm       | folding aluminium, 150 kg      | ceilings in finished rooms
    """,
)

WORKSHOP = Category(
    code="WOR",
    families=(_STORAGE, _LIFT, _AIR, _WELD, _LUBE, _ADHESIVE, _LADDER),
)
