# ruff: noqa: RUF001 - sizes are written with a multiplication sign
"""Office: paper, writing, filing, furniture, presenting, batteries."""

from __future__ import annotations

from gateway.demo.assortment.family import Category, Family

_COPY_PAPER = Family(
    code="CP",
    name="{kind} {size}, {pack}",
    description="{kind} {size}, {pack}, {make}. Good for {use}.",
    table="""
    sku  | price | kind                 | size          | pack           | make                 | use
    A480 | 21.90 | Copy Paper           | A4, 80 g/m²   | 5 × 500 Sheets | white, CIE 146       | everyday printing and copying
    A48R | 23.40 | Recycled Copy Paper  | A4, 80 g/m²   | 5 × 500 Sheets | ISO 70, eco-labelled | internal papers and drafts
    A380 | 27.60 | Copy Paper           | A3, 80 g/m²   | 3 × 500 Sheets | white, CIE 146       | plans and spreadsheets
    A416 | 19.80 | Colour Laser Paper   | A4, 160 g/m²  | 250 Sheets     | satin, extra white   | reports and covers
    A490 | 29.70 | Premium Letter Paper | A4, 90 g/m²   | 5 × 500 Sheets | FSC Mix, CIE 167     | letters that represent the house
    PL36 | 17.50 | Plotter Roll         | 914 mm × 50 m | 1 Roll         | uncoated 90 g/m²     | CAD drawings and site plans
    """,
)
_WRITING = Family(
    code="WR",
    name="{kind}, {colour}, Box of {pack}",
    description="{kind} in {colour}, {make}, box of {pack}. Writes on {use}.",
    table="""
    sku  | price | kind                  | colour       | pack | make                        | use
    BPBL |  7.90 | Retractable Ballpoint | Blue         | 20   | documentary ink, medium tip | forms and carbon copies
    BPBK |  7.90 | Retractable Ballpoint | Black        | 20   | documentary ink, medium tip | contracts and delivery notes
    GLBK | 13.60 | Gel Pen               | Black        | 12   | 0.5 mm, quick-drying        | notes and drawings
    HLYE |  8.40 | Highlighter           | Yellow       | 10   | chisel tip, inkjet-safe     | printed pages
    HL04 |  6.70 | Highlighter           | Four Colours | 4    | chisel tip, inkjet-safe     | plans with several trades
    PMBK |  9.80 | Permanent Marker      | Black        | 10   | 1.5–3 mm bullet tip         | metal, film and pallets
    WM04 |  6.90 | Whiteboard Marker     | Four Colours | 4    | dry-wipe, low odour         | boards and glass
    PEHB |  4.60 | Pencil HB             | Natural      | 12   | cedar-free certified wood   | timber and paper
    """,
)
_FILING = Family(
    code="FI",
    name="{kind}, {size}, {pack}",
    description="{kind}, {size}, {pack}, {make}. Keeps {use}.",
    table="""
    sku  | price | kind             | size        | pack       | make                              | use
    LA80 | 23.80 | Lever Arch File  | A4, 80 mm   | Box of 10  | polypropylene-coated board, black | up to 600 sheets a year
    LA50 | 21.90 | Lever Arch File  | A4, 50 mm   | Box of 10  | polypropylene-coated board, blue  | up to 350 sheets of one project
    RB25 | 16.40 | Ring Binder      | A4, 25 mm   | Box of 6   | four D-rings, clear pocket        | manuals and training papers
    SH10 |  6.80 | Punched Pockets  | A4, 50 µm   | Box of 100 | glass-clear polypropylene         | certificates clean and readable
    DI31 |  3.90 | Index Dividers   | A4, 1–31    | Set        | coloured polypropylene            | every day of the month in its place
    SU25 | 19.70 | Suspension Files | A4          | Box of 25  | 230 g/m² kraft with tabs          | running matters within reach
    AB08 | 14.50 | Archive Boxes    | 80 × 330 mm | Pack of 20 | recycled board                    | closed years, one file a box
    """,
)
_DESK = Family(
    code="DE",
    name="{kind}, {size}",
    description="{kind}, {size}: {make}. For {use}.",
    table="""
    sku  | price | kind               | size                  | make                        | use
    ST25 | 11.40 | Stapler            | 25 Sheets             | metal, loads from the front | daily paperwork
    STHD | 34.80 | Heavy-Duty Stapler | 140 Sheets            | with a depth stop           | reports and catalogues
    SP26 |  2.90 | Staples            | 24/6, Box of 5,000    | galvanised steel wire       | standard staplers
    HP30 | 13.90 | Hole Punch         | 30 Sheets             | metal with a ruler stop     | two-hole filing at 80 mm
    PN76 |  7.60 | Sticky Notes       | 76 × 76 mm, 12 Pads   | yellow, removable           | reminders that leave no trace
    TC19 |  8.80 | Clear Tape         | 19 mm × 33 m, 8 Rolls | matt and invisible          | repairs that can be written on
    SC21 |  5.20 | Scissors           | 210 mm                | stainless with soft grips   | right- and left-handed users
    CA12 | 12.60 | Desk Calculator    | 12 Digits             | solar and battery           | margins, tax and totals
    """,
)
_FURNITURE = Family(
    code="FU",
    name="{kind}, {size}",
    description="{kind}, {size}, {make}. Fit for {use}.",
    table="""
    sku  |  price | kind                | size           | make                           | use
    CH01 | 189.00 | Office Swivel Chair | Black          | synchronous mechanism, EN 1335 | eight hours a day
    CH02 |  94.00 | Workshop Stool      | 450–580 mm     | wipe-clean PU seat on castors  | benches and laboratories
    DK16 | 249.00 | Office Desk         | 1,600 × 800 mm | melamine top on a steel frame  | two screens and papers
    DS16 | 429.00 | Sit-Stand Desk      | 1,600 × 800 mm | two motors with memory         | sitting and standing in turn
    PD03 | 139.00 | Mobile Pedestal     | Three Drawers  | lockable steel                 | supplies under any desk
    CB18 | 219.00 | Filing Cupboard     | 1,800 × 920 mm | lockable sheet steel           | five rows of files
    LK03 | 199.00 | Locker              | Three Doors    | ventilated steel with legs     | changing rooms
    """,
)
_PRESENT = Family(
    code="PR",
    name="{kind}, {size}",
    description="{kind}, {size}, {make}. Shows {use}.",
    table="""
    sku  |  price | kind             | size           | make                      | use
    WB90 |  54.00 | Whiteboard       | 900 × 600 mm   | lacquered steel, magnetic | plans for a small team
    WB12 | 119.00 | Whiteboard       | 1,200 × 900 mm | enamelled steel, magnetic | shift plans for many years
    FC01 |  89.00 | Flip Chart Easel | 700 × 1,000 mm | height-adjustable tripod  | ideas as they come up
    FP05 |  16.80 | Flip Chart Pads  | 5 × 20 Sheets  | 80 g/m², perforated       | ruled on one side and blank on the other
    CB09 |  32.50 | Cork Board       | 900 × 600 mm   | aluminium frame           | notices and rotas
    LM10 |  64.00 | Laminator        | A4             | warm-up in three minutes  | signs and cards behind film
    """,
)
_POWER = Family(
    code="BA",
    name="{kind}, {size}",
    description="{kind}, {size}, {make}. Powers {use}.",
    table="""
    sku  | price | kind                   | size             | make                         | use
    AA24 | 11.80 | Alkaline Batteries AA  | Pack of 24       | 1.5 V, ten years' shelf life | mice, scanners and locks
    AAA2 | 11.80 | Alkaline Batteries AAA | Pack of 24       | 1.5 V, ten years' shelf life | remotes and head torches
    CR10 |  7.40 | Lithium Cells CR2032   | Pack of 10       | 3 V, 230 mAh                 | fobs, scales and mainboards
    V910 | 16.90 | Alkaline Batteries 9 V | Pack of 10       | 550 mAh                      | smoke alarms and meters
    RE08 | 24.60 | Rechargeable AA        | Pack of 8        | NiMH 2,500 mAh, pre-charged  | cameras and barcode scanners
    ML06 | 22.90 | Power Strip            | Six Sockets, 3 m | switched, surge-protected    | a desk with its screens
    US65 | 34.50 | USB-C Charger          | 65 W, Two Ports  | power delivery 3.0           | a laptop and a phone at once
    """,
)
_CATALOGUE = Family(
    code="CA",
    name="{kind}, {size}",
    description="{kind} ({size}): {make}. {use}.",
    table="""
    sku  | price | kind                | size          | make                                | use
    2026 |  4.90 | Wholesale Catalogue | Print Edition | every article with its order number | Refunded with the first order of the year
    """,
)

OFFICE = Category(
    code="OFF",
    families=(_COPY_PAPER, _WRITING, _FILING, _DESK, _FURNITURE, _PRESENT, _POWER, _CATALOGUE),
)
