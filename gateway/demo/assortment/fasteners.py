# ruff: noqa: RUF001 - sizes are written with a multiplication sign
"""Fasteners: bolts, screws, nuts, washers, anchors."""

from __future__ import annotations

from gateway.demo.assortment.family import Category, Family

_HEX_BOLT = Family(
    code="HB",
    name="Hex Bolt {size}, Zinc-Plated, Box of {pack}",
    description=(
        "Hexagon head bolt {size} to DIN 933, steel class 8.8, fully threaded. Suits {use}."
    ),
    table="""
    sku  | price | size     | pack | use
    0616 |  6.90 | M6 × 16  | 200  | covers, brackets and light frames
    0630 |  8.40 | M6 × 30  | 200  | hinges and cable trays
    0820 |  9.20 | M8 × 20  | 100  | motor feet and guard rails
    0840 | 11.60 | M8 × 40  | 100  | timber brackets and machine frames
    0860 | 14.30 | M8 × 60  | 100  | handrails and gate furniture
    1030 | 15.80 | M10 × 30 | 100  | bearing housings and base plates
    1050 | 19.40 | M10 × 50 | 100  | steel sections and conveyor stands
    1240 | 17.90 | M12 × 40 | 50   | column feet and heavy brackets
    1280 | 26.50 | M12 × 80 | 50   | structural timber and tank supports
    1660 | 29.80 | M16 × 60 | 25   | crane rails and pump foundations
    """,
)
_SOCKET_SCREW = Family(
    code="SC",
    name="Socket Cap Screw {size}, A2 Stainless, Box of {pack}",
    description=(
        "Hexagon socket head cap screw {size} to DIN 912 in A2-70 stainless steel, for {use}. "
        "Tightened with a {key} mm key."
    ),
    table="""
    sku  | price | size     | pack | key | use
    0310 |  7.20 | M3 × 10  | 200  | 2.5 | instrument panels and small fixtures
    0412 |  8.10 | M4 × 12  | 200  | 3   | linear guides and sensor mounts
    0516 |  9.60 | M5 × 16  | 200  | 4   | aluminium profile joints
    0620 | 11.90 | M6 × 20  | 100  | 5   | fixtures and tooling plates
    0825 | 16.40 | M8 × 25  | 100  | 6   | cylinder heads and food machinery
    0835 | 18.70 | M8 × 35  | 100  | 6   | wash-down guards and covers
    1040 | 21.50 | M10 × 40 | 50   | 8   | gearboxes and pump flanges
    1250 | 27.30 | M12 × 50 | 25   | 10  | presses and heavy jigs
    """,
)
_WOOD_SCREW = Family(
    code="WS",
    name="Wood Screw {size}, Countersunk Torx, Box of {pack}",
    description=(
        "Yellow-passivated chipboard screw {size} with countersunk head, {drive} drive and a "
        "cutting point that needs no pilot hole. Made for {use}."
    ),
    table="""
    sku  | price | size      | pack | drive | use
    3516 |  3.40 | 3.5 × 16  | 200  | T15   | hinges and drawer runners
    3530 |  3.90 | 3.5 × 30  | 200  | T15   | back panels and cleats
    4040 |  5.20 | 4.0 × 40  | 200  | T20   | cabinet carcasses
    4550 |  7.60 | 4.5 × 50  | 200  | T20   | battens and window boards
    5060 |  9.90 | 5.0 × 60  | 200  | T25   | stud walls and floorboards
    5080 | 12.80 | 5.0 × 80  | 100  | T25   | joists and stair treads
    6100 | 17.20 | 6.0 × 100 | 100  | T30   | roof battens and sleepers
    8160 | 34.50 | 8.0 × 160 | 50   | T40   | load-bearing timber joints
    """,
)
_NUT = Family(
    code="NT",
    name="{kind} {size}, Zinc-Plated, Box of {pack}",
    description="{kind} {size} to {standard}, steel class 8, bright zinc-plated. Used for {use}.",
    table="""
    sku  | price | kind                | size | pack | standard | use
    HX06 |  3.10 | Hex Nut             | M6   | 500  | DIN 934  | general assembly and cable trays
    HX08 |  4.60 | Hex Nut             | M8   | 400  | DIN 934  | frames, brackets and pipe clamps
    HX10 |  6.20 | Hex Nut             | M10  | 250  | DIN 934  | base plates and threaded rod hangers
    HX12 |  7.90 | Hex Nut             | M12  | 200  | DIN 934  | columns and heavy machinery
    LK06 |  5.40 | Nylon Lock Nut      | M6   | 300  | DIN 985  | fans and other vibrating parts
    LK08 |  7.30 | Nylon Lock Nut      | M8   | 200  | DIN 985  | castors, levers and pivots
    FL08 |  8.80 | Serrated Flange Nut | M8   | 200  | DIN 6923 | sheet metal where no washer fits
    """,
)
_WASHER = Family(
    code="WA",
    name="{kind} {size}, Box of {pack}",
    description="{kind} {size} to {standard} in {material}. Meant to {use}.",
    table="""
    sku  | price | kind          | size | pack | standard | material                 | use
    FL06 |  2.60 | Flat Washer   | M6   | 1000 | DIN 125  | zinc-plated steel        | spread the load of M6 bolts
    FL08 |  3.40 | Flat Washer   | M8   | 800  | DIN 125  | zinc-plated steel        | protect painted surfaces under M8 bolts
    FL12 |  5.90 | Flat Washer   | M12  | 300  | DIN 125  | A2 stainless steel       | bridge enlarged holes out of doors
    SP08 |  3.90 | Spring Washer | M8   | 500  | DIN 127  | spring steel             | keep M8 joints tight under vibration
    RP10 |  8.50 | Repair Washer | M10  | 200  | DIN 9021 | hot-dip galvanised steel | seat bolts on soft or torn material
    """,
)
_ANCHOR = Family(
    code="AN",
    name="{kind} {size}, Box of {pack}",
    description="{kind} {size} made of {material}, for {base}. Safe working load {load} per anchor.",
    table="""
    sku  | price | kind             | size      | pack | material                | base                              | load
    NP06 |  4.20 | Nylon Wall Plug  | 6 × 30    | 200  | impact-proof nylon      | concrete, brick and aerated block | 0.3 kN
    NP08 |  5.80 | Nylon Wall Plug  | 8 × 40    | 100  | impact-proof nylon      | concrete and solid brick          | 0.6 kN
    NP10 |  8.90 | Nylon Wall Plug  | 10 × 50   | 50   | impact-proof nylon      | concrete, stone and hollow brick  | 0.9 kN
    HF08 | 14.60 | Hammer-In Fixing | 8 × 80    | 100  | nylon with a steel nail | battens on masonry                | 0.5 kN
    TB10 | 22.40 | Through Bolt     | M10 × 90  | 25   | zinc-plated steel       | cracked concrete (ETA option 1)   | 5.7 kN
    TB12 | 31.80 | Through Bolt     | M12 × 110 | 20   | zinc-plated steel       | cracked concrete and base plates  | 7.6 kN
    CA10 | 13.70 | Cavity Anchor    | M5 × 52   | 50   | folded sheet steel      | plasterboard from 12.5 mm         | 0.2 kN
    """,
)
_RIVET = Family(
    code="RV",
    name="Blind Rivet {size}, {material}, Box of {pack}",
    description=(
        "Open-type blind rivet {size} with dome head, {material}, grip range {grip} mm. "
        "Joins {use}."
    ),
    table="""
    sku  | price | size     | material           | pack | grip      | use
    3208 |  6.10 | 3.2 × 8  | Aluminium/Steel    | 500  | 3.0–5.0   | thin sheet and trim
    4010 |  8.70 | 4.0 × 10 | Aluminium/Steel    | 500  | 4.5–6.5   | ducts, casings and gutters
    4812 | 11.30 | 4.8 × 12 | Aluminium/Steel    | 250  | 6.0–8.0   | vehicle bodies and doors
    4016 | 13.90 | 4.0 × 16 | A2 Stainless Steel | 250  | 8.0–12.0  | coastal and wash-down equipment
    4820 | 19.80 | 4.8 × 20 | A2 Stainless Steel | 200  | 12.0–15.5 | thick stainless and composite panels
    """,
)

FASTENERS = Category(
    code="FAS",
    families=(_HEX_BOLT, _SOCKET_SCREW, _WOOD_SCREW, _NUT, _WASHER, _ANCHOR, _RIVET),
)
