"""The freshness oracle: knows what is true, and tries to catch the gateway claiming more.

    writers ──commit──► services' databases ──► relays ─► log ─► projectors ─► stores
       │ brackets                                                                │
       ▼                                                                         ▼
    registers ◄──────────── verdicts ◄──── checks ◄──── readers ◄──── gateway: data and bounds

A **register** is a value that only grows, by one event a step, so what a read shows of it tells
which events it lacks. Every commit is bracketed: it was invisible before COMMIT was sent, and
visible when COMMIT had returned. A double of the gateway notes beside each bound the instant at
which it was told, which must lie between asking and the answer. An event that a read lacks although
its COMMIT had returned before (that instant - bound) is a **violation**. Where it lies inside the
bracket, nobody can decide. One **check** is one entry of `extensions.freshness.fields`.
"""
