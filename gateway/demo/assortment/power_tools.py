# ruff: noqa: RUF001 - sizes are written with a multiplication sign
"""Power tools: drills, grinders, saws, and what wears out on them."""

from __future__ import annotations

from gateway.demo.assortment.family import Category, Family

_DRILL = Family(
    code="DR",
    name="{kind} {rating}{kit}",
    description="{kind} {rating} with {feature}. Drills up to {most}.",
    table="""
    sku  |  price | kind                   | rating | kit                    | feature                                   | most
    CD12 |  94.00 | Cordless Drill Driver  | 12 V   | , Two 2.0 Ah Batteries | a brushed motor and 30 Nm of torque       | 20 mm in softwood
    CD18 | 149.00 | Cordless Drill Driver  | 18 V   | , Two 2.0 Ah Batteries | a brushless motor and 60 Nm of torque     | 38 mm in softwood and 13 mm in steel
    CD1B |  89.00 | Cordless Drill Driver  | 18 V   | , Body Only            | a brushless motor, sold without battery   | 38 mm in softwood
    CH18 | 189.00 | Cordless Combi Drill   | 18 V   | , Two 4.0 Ah Batteries | hammer action and an all-metal chuck      | 16 mm in brick
    IM18 | 179.00 | Cordless Impact Driver | 18 V   | , Two 4.0 Ah Batteries | 180 Nm and three speed settings           | 25 mm with auger bits
    HD75 | 112.00 | Hammer Drill           | 750 W  |                        | a keyless chuck and depth stop            | 16 mm in concrete
    RH26 | 198.00 | SDS-Plus Rotary Hammer | 800 W  |                        | 2.7 J of impact energy and a chisel stop  | 26 mm in concrete
    RH40 | 489.00 | SDS-Max Rotary Hammer  | 1150 W |                        | 8.5 J of impact energy and damped handles | 40 mm in concrete
    BD16 | 329.00 | Bench Pillar Drill     | 550 W  |                        | five belt speeds and a tilting table      | 16 mm in steel
    """,
)
_GRINDER = Family(
    code="GR",
    name="{kind} {disc} mm, {power}",
    description="{kind} for {disc} mm discs, {power}, with {feature}. Made for {use}.",
    table="""
    sku  |  price | kind                   | disc | power  | feature                             | use
    AG15 |  62.00 | Angle Grinder          | 115  | 750 W  | a slim grip and spindle lock        | light cutting and rust removal
    AG25 |  89.00 | Angle Grinder          | 125  | 1100 W | soft start and restart protection   | daily metalwork
    AG2V | 138.00 | Angle Grinder Variable | 125  | 1400 W | variable speed from 2,800 rpm       | stainless steel and polishing
    AG30 | 149.00 | Angle Grinder          | 230  | 2200 W | a damped side handle                | cutting stone, pipe and rail
    CG25 | 169.00 | Cordless Angle Grinder | 125  | 18 V   | a brushless motor and paddle switch | cutting away from a socket
    BG15 | 119.00 | Bench Grinder          | 150  | 370 W  | a coarse and a fine wheel           | sharpening drills and chisels
    BG20 | 189.00 | Bench Grinder          | 200  | 550 W  | cast rests and eye shields          | deburring and tool grinding
    """,
)
_SAW = Family(
    code="SA",
    name="{kind} {size}, {power}",
    description="{kind} {size}, {power}: {feature}. Cutting capacity {depth}.",
    table="""
    sku  |  price | kind              | size         | power  | feature                                       | depth
    CS16 |  98.00 | Circular Saw      | 165 mm       | 1200 W | light, with a parallel guide                  | 54 mm at 90°
    CS19 | 139.00 | Circular Saw      | 190 mm       | 1400 W | a blown-clear cutting line                    | 67 mm at 90°
    JS70 |  84.00 | Jigsaw            | 70 mm        | 650 W  | four orbital steps and tool-free blade change | 70 mm in wood
    JS13 | 159.00 | Jigsaw            | 135 mm       | 800 W  | constant speed under load                     | 135 mm in wood and 10 mm in steel
    RS11 | 129.00 | Reciprocating Saw | 28 mm Stroke | 1100 W | a pivoting shoe                               | 250 mm in timber
    MS21 | 239.00 | Sliding Mitre Saw | 216 mm       | 1500 W | laser line and left-hand bevel                | 70 × 312 mm
    TS25 | 419.00 | Table Saw         | 254 mm       | 1800 W | rack-and-pinion fence on a wheeled stand      | 80 mm at 90°
    """,
)
_SANDER = Family(
    code="SN",
    name="{kind} {size}, {power}",
    description="{kind} {size}, {power}, {feature}. Gives {use}.",
    table="""
    sku  |  price | kind                  | size         | power | feature                      | use
    RO25 |  79.00 | Random Orbital Sander | 125 mm       | 300 W | with a dust box              | swirl-free surfaces before varnish
    RO50 | 149.00 | Random Orbital Sander | 150 mm       | 350 W | with brake and hose adapter  | fast removal and fine finish alike
    OS11 |  59.00 | Orbital Sander        | 114 × 228 mm | 330 W | with paper clamps            | even faces on doors and worktops
    BS75 | 109.00 | Belt Sander           | 75 × 533 mm  | 900 W | with automatic belt tracking | rapid removal on beams and planks
    DS93 |  64.00 | Detail Sander         | 93 mm        | 200 W | with a pointed base          | clean corners and window bars
    """,
)
_BATTERY = Family(
    code="BA",
    name="{kind}, {size}",
    description="{kind}, {size}: {feature}. {use}.",
    table="""
    sku  |  price | kind                    | size          | feature                        | use
    L122 |  39.00 | Lithium-Ion Battery     | 12 V 2.0 Ah   | three cells and a charge gauge | Fits every 12 V tool of the range
    L182 |  54.00 | Lithium-Ion Battery     | 18 V 2.0 Ah   | compact pack of 0.4 kg         | Keeps drill drivers light overhead
    L184 |  79.00 | Lithium-Ion Battery     | 18 V 4.0 Ah   | ten cells with heat protection | The everyday pack for saws and grinders
    L188 | 129.00 | Lithium-Ion Battery     | 18 V 8.0 Ah   | 21700 cells for high currents  | Runs rotary hammers for a whole morning
    CH01 |  44.00 | Battery Charger         | 12 V and 18 V | 3 A with fault display         | Fills a 4.0 Ah pack in 80 minutes
    CH06 | 139.00 | Six-Bay Battery Charger | 18 V          | charges in sequence overnight  | Wall bracket included for site offices
    """,
)
_DISC = Family(
    code="DI",
    name="{kind} {size}, Pack of {pack}",
    description="{kind} {size}, {grain}, for {use}. Sold in packs of {pack}.",
    table="""
    sku  | price | kind          | size         | pack | grain                             | use
    CT25 | 19.80 | Cutting Disc  | 125 × 1.0 mm | 25   | aluminium oxide, EN 12413         | fast thin cuts in stainless steel
    CT30 | 34.60 | Cutting Disc  | 230 × 1.9 mm | 25   | aluminium oxide, EN 12413         | sections, pipe and reinforcing bar
    GD25 | 22.70 | Grinding Disc | 125 × 6.0 mm | 10   | aluminium oxide, depressed centre | weld seams and edges
    FD40 | 27.90 | Flap Disc     | 125 mm P40   | 10   | zirconia cloth                    | rough shaping of steel
    FD80 | 27.90 | Flap Disc     | 125 mm P80   | 10   | zirconia cloth                    | blending welds to a fine finish
    DM25 | 24.50 | Diamond Blade | 125 mm       | 1    | laser-welded segments             | dry cuts in concrete and tile
    DM30 | 58.90 | Diamond Blade | 230 mm       | 1    | laser-welded segments             | kerbs, pavers and reinforced concrete
    SD12 | 16.40 | Sanding Discs | 125 mm P120  | 50   | hook-and-loop, eight holes        | intermediate sanding of timber
    """,
)
_BIT = Family(
    code="BT",
    name="{kind}, {size}",
    description="{kind}, {size}, {make}. For {use}.",
    table="""
    sku  | price | kind                 | size                  | make                                 | use
    HS19 | 34.90 | HSS-G Drill Bit Set  | 1–10 mm, 19 Pieces    | ground to DIN 338 with a split point | steel up to 900 N/mm²
    HC13 | 64.50 | HSS-Co Drill Bit Set | 1.5–6.5 mm, 13 Pieces | five per cent cobalt                 | stainless and heat-resistant steel
    SP05 |  3.20 | SDS-Plus Drill Bit   | 6 × 110 mm            | carbide tip, two cutters             | wall plugs in concrete
    SP08 |  3.90 | SDS-Plus Drill Bit   | 8 × 160 mm            | carbide tip, two cutters             | fixings through render
    SP12 |  6.80 | SDS-Plus Drill Bit   | 12 × 210 mm           | carbide tip, four cutters            | reinforced concrete
    BS32 | 17.60 | Screwdriver Bit Set  | 32 Pieces             | hardened S2 steel with a holder      | slotted, Phillips, Pozidriv and Torx screws
    HO08 | 46.80 | Hole Saw Set         | 22–73 mm, 8 Pieces    | bimetal with quick arbors            | cable and pipe entries in sheet and wood
    JB05 |  9.70 | Jigsaw Blades        | Pack of 5, Wood       | T-shank, ground side-set teeth       | clean cuts in board up to 60 mm
    """,
)

POWER_TOOLS = Category(
    code="POW",
    families=(_DRILL, _GRINDER, _SAW, _SANDER, _BATTERY, _DISC, _BIT),
)
