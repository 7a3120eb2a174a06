# ruff: noqa: RUF001 - sizes are written with a multiplication sign
"""Plumbing: pipe, fittings, valves, pumps, drains, sealing."""

from __future__ import annotations

from gateway.demo.assortment.family import Category, Family

_PIPE = Family(
    code="PI",
    name="{kind} {size}, {length}",
    description="{kind} {size}, {length}, {make}. Carries {use}.",
    table="""
    sku  |  price | kind             | size        | length     | make                         | use
    CU15 |  34.80 | Copper Pipe      | 15 × 1 mm   | 5 × 2 m    | half-hard, to EN 1057        | drinking water and heating
    CU22 |  58.60 | Copper Pipe      | 22 × 1 mm   | 5 × 2 m    | half-hard, to EN 1057        | rising mains and gas
    CU28 |  89.00 | Copper Pipe      | 28 × 1.5 mm | 5 × 2 m    | hard, to EN 1057             | boiler rooms and headers
    ML16 |  69.00 | Multilayer Pipe  | 16 × 2 mm   | 50 m Coil  | PE-RT with an aluminium core | underfloor heating
    ML20 | 104.00 | Multilayer Pipe  | 20 × 2 mm   | 50 m Coil  | PE-RT with an aluminium core | hot and cold water on floors
    PE32 |  78.00 | PE Pressure Pipe | 32 × 2.9 mm | 50 m Coil  | PE 100, 16 bar               | buried supply lines
    HT50 |  16.40 | Waste Pipe HT    | DN 50       | 10 × 0.5 m | grey polypropylene, push-fit | waste from sinks and basins
    HT11 |  38.20 | Waste Pipe HT    | DN 110      | 6 × 1 m    | grey polypropylene, push-fit | soil stacks inside buildings
    """,
)
_FITTING = Family(
    code="FI",
    name="{kind} {size}, Bag of {pack}",
    description="{kind} {size} in {material}, bag of {pack}. Joins {use}.",
    table="""
    sku  | price | kind                 | size           | pack | material                        | use
    PE15 | 24.90 | Press Elbow 90°      | 15 mm          | 10   | copper with EPDM seal           | copper pipe without a flame
    PT15 | 33.60 | Press Tee            | 15 mm          | 10   | copper with EPDM seal           | branches to radiators
    PC22 | 21.70 | Press Coupling       | 22 mm          | 10   | copper with EPDM seal           | straight runs of copper
    SE15 |  8.40 | Solder Elbow 90°     | 15 mm          | 20   | copper, to EN 1254-1            | short soldered runs
    SE22 | 13.80 | Solder Elbow 90°     | 22 mm          | 20   | copper, to EN 1254-1            | boiler connections
    CM15 | 16.50 | Compression Coupling | 15 mm          | 5    | dezincification-resistant brass | repairs on wet pipe
    MT12 | 11.20 | Male Adaptor         | 15 mm × 1/2 in | 5    | brass                           | copper with threaded valves
    NP12 |  9.70 | Hexagon Nipple       | 1/2 in         | 10   | red bronze                      | two female threads
    """,
)
_VALVE = Family(
    code="VA",
    name="{kind} {size}",
    description="{kind} {size}, {make}, rated {rating}. Used to {use}.",
    table="""
    sku  | price | kind                        | size         | make                           | rating      | use
    BV12 |  7.90 | Ball Valve                  | 1/2 in       | nickel-plated brass with lever | 25 bar      | shut off branches in a quarter turn
    BV34 | 11.60 | Ball Valve                  | 3/4 in       | nickel-plated brass with lever | 25 bar      | isolate meters and filters
    BV10 | 17.80 | Ball Valve                  | 1 in         | nickel-plated brass with lever | 25 bar      | isolate pumps and headers
    CV34 | 14.30 | Check Valve                 | 3/4 in       | brass with a spring disc       | 16 bar      | keep water from flowing back
    PR34 | 69.00 | Pressure Reducing Valve     | 3/4 in       | with gauge and strainer        | 25 to 4 bar | protect installations from high mains pressure
    SV34 | 24.50 | Safety Valve                | 3/4 in       | diaphragm type, TÜV marked     | 6 bar       | guard closed water heaters
    TR12 | 15.90 | Thermostatic Radiator Valve | 1/2 in       | angle pattern, presettable     | 10 bar      | balance heating circuits
    AV15 |  6.80 | Angle Valve                 | 1/2 × 3/8 in | chromed, with rosette          | 10 bar      | serve basins and dishwashers
    """,
)
_PUMP = Family(
    code="PU",
    name="{kind} {power}",
    description="{kind} {power}, {make}. Delivers {flow}.",
    table="""
    sku  |  price | kind                   | power  | make                              | flow
    SB40 |  89.00 | Submersible Drain Pump | 400 W  | with float switch                 | 7,500 l/h of clear water from cellars
    SB75 | 149.00 | Dirty Water Pump       | 750 W  | passing solids up to 30 mm        | 13,000 l/h from pits and ponds
    CP25 | 139.00 | Heating Circulator     | 25-60  | high-efficiency, EEI ≤ 0.20       | up to 3.3 m³/h through closed circuits
    BP11 | 219.00 | Booster Pump           | 1100 W | self-priming with pressure vessel | 4,200 l/h at up to 4.6 bar
    CO05 | 119.00 | Condensate Pump        | 80 W   | with alarm contact                | 340 l/h from boilers and chillers
    """,
)
_DRAIN = Family(
    code="DN",
    name="{kind} {size}",
    description="{kind} {size} made of {material}. Fits {use}.",
    table="""
    sku  | price | kind                   | size                 | material                           | use
    BT40 |  6.20 | Bottle Trap            | 1 1/4 × DN 32        | chromed brass                      | washbasins in view
    PT40 |  4.10 | P-Trap                 | 1 1/2 × DN 40        | white polypropylene                | kitchen sinks
    SH90 | 24.80 | Shower Trap            | DN 50, 90 mm         | polypropylene, chromed cover       | flat trays at 0.6 l/s
    FD15 | 37.50 | Floor Drain            | DN 100, 150 × 150 mm | stainless steel grate              | plant rooms and wet rooms
    GR10 | 28.90 | Channel Drain          | 1 m, Class B125      | polymer concrete, galvanised grate | drives and forecourts
    RV11 | 46.00 | Backwater Valve        | DN 110               | PVC with emergency lock            | basements below the flood level
    IN11 | 12.60 | Inspection Chamber Lid | DN 315               | polypropylene, class A15           | gardens and paths
    """,
)
_SEAL = Family(
    code="SE",
    name="{kind}, {size}",
    description="{kind}, {size}: {make}. For {use}.",
    table="""
    sku  | price | kind                | size               | make                           | use
    PT12 |  8.90 | PTFE Thread Tape    | 12 m, Pack of 10   | to EN 751-3, for gas and water | male threads up to 2 in
    HE10 |  6.40 | Plumber's Hemp      | 100 g Braid        | combed long-fibre flax         | cast and galvanised threads
    PA40 |  5.70 | Jointing Paste      | 450 g Tin          | drinking-water approved        | hemp-packed threads
    TS14 | 13.50 | Thread Sealing Cord | 160 m              | multifilament with lubricant   | metal and plastic threads
    OR40 | 18.90 | O-Ring Assortment   | 404 Pieces         | NBR 70 in thirty sizes         | taps, unions and pumps
    FW12 |  4.80 | Fibre Washers       | 1/2 in, Bag of 100 | vulcanised fibre               | flat-faced unions
    SI30 |  6.60 | Sanitary Silicone   | 300 ml, White      | mould-resistant acetate cure   | baths, trays and tiles
    """,
)
_HEATING = Family(
    code="HE",
    name="{kind} {size}",
    description="{kind} {size}, {make}. Meant for {use}.",
    table="""
    sku  |  price | kind                    | size             | make                           | use
    EX18 |  39.00 | Expansion Vessel        | 18 l             | membrane type, 3 bar           | closed heating circuits
    EX35 |  64.00 | Expansion Vessel        | 35 l             | membrane type with feet, 3 bar | larger heating circuits
    DS34 | 118.00 | Dirt Separator          | 3/4 in           | brass with a magnet            | boilers and heat pumps
    AV38 |   9.40 | Automatic Air Vent      | 3/8 in           | brass with shut-off            | the highest point of a riser
    IN15 |  14.60 | Pipe Insulation         | 15 × 13 mm, 40 m | closed-cell PE foam            | hot pipes against heat loss
    IN22 |  19.80 | Pipe Insulation         | 22 × 20 mm, 30 m | closed-cell PE foam            | headers to the energy code
    WH05 | 129.00 | Under-Sink Water Heater | 5 l, 2 kW        | pressureless with thermostat   | single taps far from the boiler
    """,
)

PLUMBING = Category(
    code="PLU",
    families=(_PIPE, _FITTING, _VALVE, _PUMP, _DRAIN, _SEAL, _HEATING),
)
