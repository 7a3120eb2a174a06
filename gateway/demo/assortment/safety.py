# ruff: noqa: RUF001 - sizes are written with a multiplication sign
"""Safety: what protects people, from gloves to signs."""

from __future__ import annotations

from gateway.demo.assortment.family import Category, Family

_GLOVE = Family(
    code="GL",
    name="{kind}, Size {size}, {pack}",
    description="{kind} of {make}, size {size}, to {standard}. Protect hands during {use}.",
    table="""
    sku  | price | kind                      | size    | pack       | make                                    | standard            | use
    NI08 | 18.60 | Nitrile-Coated Gloves     | 8 (M)   | 12 Pairs   | breathable nylon with foam nitrile palm | EN 388 4121X        | assembly and logistics
    NI09 | 18.60 | Nitrile-Coated Gloves     | 9 (L)   | 12 Pairs   | breathable nylon with foam nitrile palm | EN 388 4121X        | fitting oily parts
    NI10 | 18.60 | Nitrile-Coated Gloves     | 10 (XL) | 12 Pairs   | breathable nylon with foam nitrile palm | EN 388 4121X        | general site work
    CR09 | 39.50 | Cut-Resistant Gloves      | 9 (L)   | 6 Pairs    | HPPE and glass fibre, PU palm           | EN 388 4X43D        | handling sheet metal and glass
    CR10 | 39.50 | Cut-Resistant Gloves      | 10 (XL) | 6 Pairs    | HPPE and glass fibre, PU palm           | EN 388 4X43D        | deburring and blade changes
    LE10 | 28.90 | Rigger Gloves             | 10 (XL) | 12 Pairs   | cowhide split with cotton back          | EN 388 3133X        | timber, stone and scaffolding
    WE10 | 16.40 | Welding Gauntlets         | 10 (XL) | 1 Pair     | heat-resistant split leather            | EN 12477 type A     | MIG and MAG welding
    CH09 | 24.70 | Chemical Gloves           | 9 (L)   | 12 Pairs   | flock-lined neoprene, 330 mm            | EN ISO 374-1 type A | acids and solvents
    DP08 |  8.20 | Disposable Nitrile Gloves | M       | Box of 100 | powder-free blue nitrile                | EN ISO 374-5        | cleaning and food handling
    DP09 |  8.20 | Disposable Nitrile Gloves | L       | Box of 100 | powder-free blue nitrile                | EN ISO 374-5        | painting and workshop jobs
    """,
)
_EYE = Family(
    code="EY",
    name="{kind}, {lens}",
    description="{kind} with {lens} lens, {make}, to {standard}. Worn for {use}.",
    table="""
    sku  | price | kind                          | lens                | make                         | standard       | use
    SG01 |  4.90 | Safety Spectacles             | Clear               | 26 g, anti-scratch           | EN 166 1FT     | grinding and drilling
    SG02 |  5.60 | Safety Spectacles             | Smoke               | 26 g, UV 400                 | EN 172         | outdoor work in glare
    OG01 |  6.80 | Over-Spectacles               | Clear               | with adjustable arms         | EN 166 1F      | visitors who wear glasses
    GO01 |  9.70 | Safety Goggles                | Clear Anti-Fog      | with indirect vents          | EN 166 1B 3 4  | liquids and coarse dust
    FS01 | 17.90 | Face Shield                   | Clear Polycarbonate | with ratchet headgear        | EN 166 1B 3 8  | turning, chipping and splashes
    WH01 | 89.00 | Auto-Darkening Welding Helmet | DIN 9–13            | solar cell with four sensors | EN 379 1/1/1/2 | MIG, TIG and electrode welding
    """,
)
_HEARING = Family(
    code="HE",
    name="{kind}, SNR {snr} dB{pack}",
    description="{kind} with SNR {snr} dB, {make}, to EN 352. Right for {use}.",
    table="""
    sku  | price | kind                     | snr | pack               | make                        | use
    EP20 | 24.80 | Foam Ear Plugs           | 37  | , Box of 200 Pairs | soft polyurethane, uncorded | steady noise up to 105 dB
    EPC1 | 34.60 | Corded Ear Plugs         | 28  | , Box of 100 Pairs | washable silicone flanges   | noise that comes and goes
    EM27 | 14.90 | Ear Muffs                | 27  |                    | folding headband            | saws and mowers
    EM35 | 29.50 | Ear Muffs                | 35  |                    | double-cased shells         | jackhammers and presses
    EMH1 | 24.30 | Helmet-Mounted Ear Muffs | 30  |                    | 30 mm slot adapters         | forestry and scaffolding
    """,
)
_BREATHING = Family(
    code="BR",
    name="{kind}, {pack}",
    description="{kind}, {make}, to {standard}. Filters {use}.",
    table="""
    sku  | price | kind                      | pack            | make                         | standard         | use
    F201 | 14.90 | Dust Mask FFP2            | Box of 20       | folded, without valve        | EN 149 FFP2 NR   | plaster and wood dust
    F202 | 22.60 | Dust Mask FFP2 with Valve | Box of 15       | moulded cup                  | EN 149 FFP2 NR D | grinding dust and welding fume
    F302 | 34.80 | Dust Mask FFP3 with Valve | Box of 10       | soft inner seal              | EN 149 FFP3 R D  | quartz, hardwood and fibre dust
    HM01 | 23.70 | Half Mask                 | Without Filters | TPE body with bayonet mounts | EN 140           | whatever its twin filters are rated for
    HF01 | 16.90 | Filter A2P3               | Pair            | bayonet mount                | EN 14387         | organic vapour and fine dust
    HF02 |  9.60 | Particle Filter P3        | Pair            | bayonet mount                | EN 143           | toxic dust and spores
    """,
)
_HEAD = Family(
    code="HD",
    name="{kind}, {colour}",
    description="{kind} in {colour}, {make}, to {standard}. For {use}.",
    table="""
    sku  | price | kind                  | colour | make                          | standard | use
    HW01 | 11.90 | Safety Helmet         | White  | vented ABS shell with ratchet | EN 397   | supervisors and visitors
    HY01 | 11.90 | Safety Helmet         | Yellow | vented ABS shell with ratchet | EN 397   | building sites
    HB01 | 38.50 | Climbing-Style Helmet | Blue   | with four-point chin strap    | EN 12492 | work at height
    BC01 | 12.60 | Bump Cap              | Navy   | cotton cap with an ABS insert | EN 812   | low ceilings and pits
    """,
)
_WEAR = Family(
    code="WE",
    name="{kind}, {size}",
    description="{kind}, size {size}, {make}, to {standard}. Keeps people {use}.",
    table="""
    sku  | price | kind                  | size | make                           | standard             | use
    HV0L |  5.40 | Hi-Vis Vest Yellow    | L    | polyester with two bands       | EN ISO 20471 class 2 | seen in yards and at roadsides
    HVXL |  5.40 | Hi-Vis Vest Yellow    | XL   | polyester with two bands       | EN ISO 20471 class 2 | seen over winter clothing
    HJ0L | 49.80 | Hi-Vis Winter Jacket  | L    | quilted lining and taped seams | EN ISO 20471 class 3 | warm, dry and seen
    HJXL | 49.80 | Hi-Vis Winter Jacket  | XL   | quilted lining and taped seams | EN ISO 20471 class 3 | dry on winter nights
    CV0L |  6.90 | Disposable Coverall   | L    | microporous laminate           | EN 13034 type 5/6    | clean around dust and spray
    CVXL |  6.90 | Disposable Coverall   | XL   | microporous laminate           | EN 13034 type 5/6    | clean in tanks and ducts
    S342 | 64.00 | Safety Shoes S3       | 42   | leather with a composite cap   | EN ISO 20345 S3 SRC  | steady on wet floors
    S343 | 64.00 | Safety Shoes S3       | 43   | leather with a composite cap   | EN ISO 20345 S3 SRC  | safe from nails and falling parts
    S344 | 64.00 | Safety Shoes S3       | 44   | leather with a composite cap   | EN ISO 20345 S3 SRC  | on their feet through a long shift
    WB43 | 31.50 | Safety Wellingtons S5 | 43   | PVC with steel cap and midsole | EN ISO 20345 S5      | dry in trenches and slurry
    """,
)
_SITE = Family(
    code="SI",
    name="{kind}, {size}",
    description="{kind}, {size}: {make}. {use}.",
    table="""
    sku  |  price | kind                     | size            | make                            | use
    FA01 |  18.90 | First Aid Kit            | DIN 13157       | orange case with wall bracket   | Fitted out for up to fifty office staff
    FA02 |  42.00 | First Aid Cabinet        | DIN 13169       | lockable powder-coated steel    | Fitted out for larger works
    EW05 |  11.60 | Eye Wash Bottle          | 500 ml          | sterile 0.9 % saline            | Rinses dust and splashes at the workplace
    FE06 |  39.00 | Powder Fire Extinguisher | 6 kg            | stored pressure, 43A 233B C     | Serviceable, with bracket, to EN 3
    FE05 |  74.00 | CO₂ Fire Extinguisher    | 5 kg            | aluminium cylinder, 89B         | Leaves no residue on electronics
    TA50 |   6.70 | Barrier Tape             | 80 mm × 500 m   | red and white polyethylene      | Marks off danger zones for a day or a season
    CO75 |  14.80 | Traffic Cone             | 750 mm          | PVC with two reflective sleeves | Stays upright on roads and yards
    SN01 |   8.90 | Mandatory Sign Set       | A4, 5 Signs     | rigid PVC to EN ISO 7010        | Tells eye, ear, head, foot and hand protection
    HR02 | 129.00 | Fall Arrest Harness      | Two-Point, M–XL | with quick buckles, EN 361      | The heart of every fall arrest system
    """,
)

SAFETY = Category(
    code="SAF",
    families=(_GLOVE, _EYE, _HEARING, _BREATHING, _HEAD, _WEAR, _SITE),
)
