# ruff: noqa: RUF001 - sizes are written with a multiplication sign
"""Janitorial: cleaning agents, cloths, mops, paper, dispensers, waste."""

from __future__ import annotations

from gateway.demo.assortment.family import Category, Family

_CLEANER = Family(
    code="CL",
    name="{kind}, {size}",
    description="{kind}, {size}, {make}. Cleans {use}.",
    table="""
    sku  | price | kind                 | size          | make                            | use
    AP10 | 14.90 | All-Purpose Cleaner  | 10 l Canister | concentrate, dosed at 0.5 %     | floors and washable surfaces
    AP01 |  3.40 | All-Purpose Cleaner  | 1 l Bottle    | fresh scent, ready to dilute    | desks, doors and tiles
    FL10 | 21.80 | Floor Care Cleaner   | 10 l Canister | with water-soluble polymers     | PVC, linoleum and stone while caring for them
    SA10 | 19.60 | Sanitary Cleaner     | 10 l Canister | citric acid, pH 2               | washrooms and removes lime
    SA01 |  3.90 | Sanitary Cleaner     | 1 l Bottle    | citric acid, thick              | basins, taps and urinals
    GL05 | 16.20 | Glass Cleaner        | 5 l Canister  | streak-free, with alcohol       | windows, mirrors and screens
    DG10 | 24.70 | Degreaser            | 10 l Canister | alkaline, pH 12, phosphate-free | kitchens, hoods and machine floors
    DI05 | 27.90 | Surface Disinfectant | 5 l Canister  | quaternary ammonium, EN 14476   | and disinfects hygienic surfaces in five minutes
    """,
)
_SOAP = Family(
    code="SO",
    name="{kind}, {size}",
    description="{kind}, {size}, {make}. Meant for {use}.",
    table="""
    sku  | price | kind                | size                   | make                         | use
    LS05 | 11.40 | Liquid Hand Soap    | 5 l Canister           | pH-neutral with glycerine    | refilling washroom dispensers
    LS95 | 32.60 | Liquid Hand Soap    | 12 × 950 ml Cartridges | perfume-free                 | sealed cartridge dispensers
    FO01 | 41.80 | Foam Soap           | 6 × 1 l Cartridges     | mild, dye-free               | busy washrooms that save water
    HP10 | 29.70 | Hand Cleaning Paste | 10 l Bucket            | wood-flour abrasive, no sand | oil, grease and carbon black
    HS05 | 26.50 | Hand Sanitiser      | 5 l Canister           | 80 % ethanol, EN 1500        | entrances and first-aid rooms
    CR01 |  8.90 | Skin Care Cream     | 1 l Cartridge          | silicone-free                | hands after work
    """,
)
_PAPER = Family(
    code="PA",
    name="{kind}, {size}",
    description="{kind}, {size}, {make}. Enough for {use}.",
    table="""
    sku  | price | kind                   | size                | make                       | use
    FT25 | 24.80 | Folded Paper Towels    | 2-Ply, 4,000 Sheets | white recycled, Z-fold     | a washroom with thirty people for a month
    FT10 | 18.90 | Folded Paper Towels    | 1-Ply, 5,000 Sheets | natural recycled, V-fold   | workshops with quick hand washing
    RT06 | 33.40 | Roll Towels            | 6 × 150 m, 2-Ply    | bright cellulose           | autocut dispensers over many weeks
    TP64 | 22.70 | Toilet Paper           | 64 Rolls, 2-Ply     | 250 sheets, recycled       | small washrooms
    TP48 | 31.60 | Toilet Paper           | 48 Rolls, 3-Ply     | 250 sheets, soft cellulose | offices and hotels
    JR12 | 24.20 | Jumbo Toilet Rolls     | 12 × 180 m, 2-Ply   | recycled, 60 mm core       | washrooms with a crowd
    IN02 | 26.90 | Industrial Wiping Roll | 2 × 500 m, 2-Ply    | blue, bonded               | oily hands and machines
    KR32 | 15.80 | Kitchen Rolls          | 32 Rolls, 2-Ply     | 64 sheets each             | tea kitchens and canteens
    """,
)
_CLOTH = Family(
    code="CO",
    name="{kind}, {size}",
    description="{kind}, {size}, {make}. Use on {use}.",
    table="""
    sku  | price | kind                     | size                   | make                        | use
    MFBL | 12.40 | Microfibre Cloths Blue   | 40 × 40 cm, Pack of 10 | 300 g/m², washable at 95 °C | furniture and desks
    MFRE | 12.40 | Microfibre Cloths Red    | 40 × 40 cm, Pack of 10 | 300 g/m², washable at 95 °C | toilets, after the colour code
    MFYE | 12.40 | Microfibre Cloths Yellow | 40 × 40 cm, Pack of 10 | 300 g/m², washable at 95 °C | basins and fittings
    GC05 | 14.60 | Glass Polishing Cloths   | 50 × 70 cm, Pack of 5  | lint-free waffle weave      | glass and stainless steel
    SP10 |  5.80 | Scouring Sponges         | 15 × 7 cm, Pack of 10  | green abrasive              | pans and stubborn dirt
    RG10 | 19.90 | Cleaning Rags            | 10 kg Compressed       | mixed coloured cotton       | oil and paint in the workshop
    """,
)
_MOP = Family(
    code="MO",
    name="{kind}, {size}",
    description="{kind}, {size}, {make}. Serves {use}.",
    table="""
    sku  |  price | kind                  | size     | make                   | use
    MH40 |   7.80 | Mop Head Microfibre   | 40 cm    | with pockets and tabs  | smooth floors up to 25 m² a head
    MH50 |   9.20 | Mop Head Cotton       | 50 cm    | tufted, boil-proof     | rough stone and tile
    HO40 |  18.60 | Mop Holder            | 40 cm    | folding with magnet    | flat mops with pockets
    HA14 |  11.90 | Aluminium Handle      | 140 cm   | 23 mm with a grip      | holders, squeegees and brooms
    DB25 | 119.00 | Double Bucket Trolley | 2 × 18 l | with vertical press    | corridors and wards
    BR60 |  16.40 | Hall Broom            | 60 cm    | horsehair mix on beech | dust on smooth halls
    YB50 |  14.30 | Yard Broom            | 50 cm    | stiff PVC bristles     | leaves and grit in yards
    SQ55 |  12.70 | Floor Squeegee        | 55 cm    | double foam rubber     | water towards the drain
    """,
)
_WASTE = Family(
    code="WS",
    name="{kind}, {size}",
    description="{kind}, {size}, {make}. Takes {use}.",
    table="""
    sku  | price | kind              | size             | make                        | use
    BG35 | 14.80 | Bin Liners        | 35 l, 1,000 Bags | 10 µm HDPE, white           | paper and office waste
    BG60 | 18.90 | Bin Liners        | 60 l, 500 Bags   | 14 µm HDPE, grey            | kitchen waste
    BG12 | 26.40 | Refuse Sacks      | 120 l, 250 Bags  | 40 µm recycled LDPE, blue   | mixed waste that is not sharp
    BG24 | 34.70 | Heavy-Duty Sacks  | 240 l, 100 Bags  | 80 µm recycled LDPE, black  | rubble, offcuts and wheelie bins
    PB50 | 32.60 | Pedal Bin         | 30 l             | steel with a soft-close lid | washroom waste without touching
    WB24 | 54.00 | Wheelie Bin       | 240 l            | HDPE to EN 840, grey        | a week of an office's waste
    RS03 | 79.00 | Recycling Station | 3 × 60 l         | with colour-coded lids      | paper, packaging and residue apart
    """,
)
_DISPENSER = Family(
    code="DI",
    name="{kind}, {size}",
    description="{kind}, {size}, {make}. Holds {use}.",
    table="""
    sku  | price | kind                      | size          | make                       | use
    SD10 | 24.60 | Soap Dispenser            | 1 l           | lockable white ABS         | bulk soap behind a level window
    SD12 | 49.80 | Touch-Free Soap Dispenser | 1.2 l         | battery sensor, IP44       | soap or sanitiser at entrances
    TD50 | 28.90 | Towel Dispenser           | 500 Sheets    | lockable white ABS         | Z-fold and V-fold towels
    TD60 | 64.00 | Roll Towel Dispenser      | Autocut 150 m | one sheet at a pull        | one full roll and a rest
    TJ01 | 22.70 | Toilet Roll Dispenser     | Jumbo 180 m   | with spare stub holder     | a jumbo roll and its remainder
    FD01 | 18.40 | Fragrance Dispenser       | 250 ml        | programmable day and night | a can for three thousand puffs
    SB01 | 15.90 | Sanitary Bag Dispenser    | 25 Bags       | stainless steel            | bags within reach in the cubicle
    """,
)

JANITORIAL = Category(
    code="JAN",
    families=(_CLEANER, _SOAP, _PAPER, _CLOTH, _MOP, _WASTE, _DISPENSER),
)
