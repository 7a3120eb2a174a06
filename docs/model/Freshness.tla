----------------------------- MODULE Freshness -----------------------------
(***************************************************************************)
(* From a source's commit to a gateway's answer: relays with failover, a   *)
(* log with partitions, projectors with rebalance and redelivery, a        *)
(* document with its progress, the gateway's question and its read.        *)
(*                                                                         *)
(* A bound is "now - m" on the gateway's own clock, m being the instant at *)
(* which it asked.  So the bound is true if the answer shows everything    *)
(* that was visible at m; that is `Sound`, and no clock is needed.         *)
(*                                                                         *)
(* Each proof rests on one question, one watermark, one look at progress   *)
(* and one read of data, and is true if it is true of each event.  So one  *)
(* reader that asks once, at any moment, goes on at any moment, and looks  *)
(* for one event, stands for all of them.                                  *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
    Aggregates,  \* event i is of aggregate Aggregates[i]; i is its position in the outbox
    Relays, Projectors,
    EpochMax, TickMax,
    Without      \* the safeguards that are left out

Safeguards == {
    "tick before snapshot", "found by mark", "acknowledged before mark",
    "acknowledged before watermark", "epochs fence", "ends are read anew",
    "claims fence", "rows are guarded", "progress with effects",
    "later tick than the probe's", "its own partition counts", "reading before data",
    "instant of sending", "token after commit"}
ASSUME Without \subseteq Safeguards
Has(safeguard) == safeguard \notin Without

\* Small histories: one event, one for each of two aggregates, and one of them changing twice.
OneAggregate == <<"a">>
TwoAggregates == <<"a", "b">>
ChangedTwice == <<"a", "b", "a">>

Events == DOMAIN Aggregates
Partitions == {Aggregates[e] : e \in Events}  \* one aggregate each
Version(e) == Cardinality({d \in 1..e : Aggregates[d] = Aggregates[e]})
Nothing == [x \in Partitions |-> 0]

VARIABLES
    visible, marked, tick,             \* the source's database
    relay,
    log, watermarks,
    document, position, owner,         \* the store: what is folded, how far, and by whom
    projector,
    reader
vars == <<visible, marked, tick, relay, log, watermarks, document, position, owner, projector,
          reader>>
source == <<visible, marked, tick>>
store == <<document, position, owner>>

After(t, u) == t.epoch > u.epoch \/ (t.epoch = u.epoch /\ t.n > u.n)
Most(m, n) == IF m > n THEN m ELSE n

StandsBy == [pc |-> "stands by", epoch |-> 0, tick |-> [epoch |-> 0, n |-> 0], last |-> 0,
             event |-> 0, ends |-> Nothing]
Rests == [claimed |-> {}, next |-> Nothing, hand |-> "none", loaded |-> Nothing]

Init ==
    /\ visible = {} /\ marked = {} /\ tick = [epoch |-> 0, n |-> 0]
    /\ relay = [r \in Relays |-> StandsBy]
    /\ log = [x \in Partitions |-> <<>>] /\ watermarks = {}
    /\ document = Nothing /\ position = Nothing /\ owner = [x \in Partitions |-> "nobody"]
    /\ projector = [p \in Projectors |-> Rests]
    /\ reader = [pc |-> "idle", event |-> 0, asked |-> [epoch |-> 0, n |-> 0], shows |-> FALSE]

-----------------------------------------------------------------------------
(* The write service.  Positions are given before commit, and transactions  *)
(* commit in any order; only those of one aggregate follow one another      *)
(* (slackwater/outbox/unpublished.py).                                      *)

Commit(e) ==
    /\ e \notin visible
    /\ \A d \in 1..(e - 1) : Aggregates[d] = Aggregates[e] => d \in visible
    /\ visible' = visible \union {e}
    /\ UNCHANGED <<marked, tick, relay, log, watermarks, store, projector, reader>>

-----------------------------------------------------------------------------
(* The relay (slackwater/outbox/leader.py).  Whoever dies is one who never  *)
(* takes another step, or who takes the lead anew.                          *)

Holds(r) == Has("epochs fence") => relay[r].epoch = tick.epoch  \* ticks.require_epoch, hold_epoch

Unpublished ==
    IF Has("found by mark") THEN visible \ marked ELSE {e \in visible : \A m \in marked : e > m}

Ends == [x \in Partitions |-> Len(log[x])]

FirstStep == IF Has("tick before snapshot") THEN "tick" ELSE "look"
WhenPublished ==
    CASE ~Has("tick before snapshot") -> "tick"
      [] ~Has("acknowledged before watermark") -> "tick"
      [] OTHER -> "emit"

\* A watermark below the present tick is below whatever a later question is answered with: while
\* none is answered, it is forgotten, and the states are fewer.
Useful(all, now) == IF reader.pc \in {"idle", "asked"} THEN {w \in all : w.tick = now}
                    ELSE {w \in all : ~After(reader.asked, w.tick)}

TakeLead(r) ==  \* lineage.take_lead, ticks.take_epoch
    /\ tick.epoch < EpochMax
    /\ tick' = [tick EXCEPT !.epoch = @ + 1]
    /\ relay' = [relay EXCEPT ![r] = [StandsBy EXCEPT
            !.pc = FirstStep, !.epoch = tick'.epoch,
            !.ends = IF Has("ends are read anew") THEN Nothing ELSE Ends]]
    /\ watermarks' = Useful(watermarks, tick')
    /\ UNCHANGED <<visible, marked, log, store, projector, reader>>

RaiseTick(r) ==  \* ticks.raise_tick
    /\ relay[r].pc = "tick"
    /\ IF Holds(r)
       THEN /\ tick.n < TickMax
            /\ tick' = [tick EXCEPT !.n = @ + 1]
            /\ relay' = [relay EXCEPT
                    ![r].tick = tick',
                    ![r].pc = IF Has("tick before snapshot") THEN "look" ELSE "emit"]
            /\ watermarks' = Useful(watermarks, tick')
       ELSE relay' = [relay EXCEPT ![r] = StandsBy] /\ UNCHANGED <<tick, watermarks>>
    /\ UNCHANGED <<visible, marked, log, store, projector, reader>>

Look(r) ==  \* leader._last_unpublished: what of this snapshot must be published
    /\ relay[r].pc = "look"
    /\ relay' = [relay EXCEPT ![r] =
        IF ~Holds(r) THEN StandsBy
        ELSE [@ EXCEPT
            !.last = IF Unpublished = {} THEN 0
                     ELSE CHOOSE e \in Unpublished : \A d \in Unpublished : d <= e,
            !.pc = CASE ~Has("acknowledged before watermark") -> "emit"
                     [] Unpublished = {} -> WhenPublished
                     [] OTHER -> "read"]]
    /\ UNCHANGED <<source, log, watermarks, store, projector, reader>>

ReadBatch(r) ==  \* leader._read_batch: the oldest, in a snapshot of its own; batches of one
    /\ relay[r].pc = "read"
    /\ relay' = [relay EXCEPT ![r] =
        CASE ~Holds(r) -> StandsBy
          [] Holds(r) /\ Unpublished = {} -> [@ EXCEPT !.pc = WhenPublished, !.last = 0]
          [] OTHER -> [@ EXCEPT
                !.event = CHOOSE e \in Unpublished : \A d \in Unpublished : d >= e,
                !.pc = IF Has("acknowledged before mark") THEN "append" ELSE "mark"]]
    /\ UNCHANGED <<source, log, watermarks, store, projector, reader>>

Published(r) ==  \* leader._publish_all ends once the last of the first snapshot is published
    [relay[r] EXCEPT !.event = 0,
        !.last = IF relay[r].event >= @ THEN 0 ELSE @,
        !.pc = IF relay[r].event >= relay[r].last THEN WhenPublished ELSE "read"]

Publish(r) ==  \* never fenced: what a paused predecessor had in hand comes late
    /\ relay[r].pc = "append"
    /\ LET e == relay[r].event
           x == Aggregates[e]
       IN  /\ log' = [log EXCEPT ![x] = Append(@, e)]
           /\ relay' = [relay EXCEPT
                ![r] = IF Has("acknowledged before mark") THEN [@ EXCEPT !.pc = "mark"]
                       ELSE Published(r),
                ![r].ends = IF Has("ends are read anew") THEN @
                            ELSE [relay[r].ends EXCEPT ![x] = Most(@, Len(log'[x]))]]
    /\ UNCHANGED <<source, watermarks, store, projector, reader>>

Mark(r) ==  \* leader._mark
    /\ relay[r].pc = "mark"
    /\ IF Holds(r)
       THEN /\ marked' = marked \union {relay[r].event}
            /\ relay' = [relay EXCEPT
                ![r] = IF Has("acknowledged before mark") THEN Published(r)
                       ELSE [@ EXCEPT !.pc = "append"]]
       ELSE relay' = [relay EXCEPT ![r] = StandsBy] /\ UNCHANGED marked
    /\ UNCHANGED <<visible, tick, log, watermarks, store, projector, reader>>

Emit(r) ==  \* leader._emit: the ends are read after the snapshot
    /\ relay[r].pc = "emit"
    /\ LET ends == IF Has("ends are read anew") THEN Ends ELSE relay[r].ends
       IN watermarks' = Useful(watermarks \union {[tick |-> relay[r].tick, ends |-> ends]}, tick)
    /\ relay' = [relay EXCEPT ![r].pc =
        IF ~Has("acknowledged before watermark") /\ relay[r].last > 0 THEN "read" ELSE FirstStep]
    /\ UNCHANGED <<source, log, store, projector, reader>>

-----------------------------------------------------------------------------
(* Projectors (slackwater/consumer/runner.py, read_models/projector.py).    *)
(* One document is fed by all partitions, as customer_orders is.            *)

Claim(p, some) ==  \* progress.claim: the newest claim fences off every earlier one
    /\ owner' = [x \in Partitions |-> IF x \in some THEN p ELSE owner[x]]
    /\ projector' = [projector EXCEPT ![p] = [Rests EXCEPT
            !.claimed = some,
            !.next = [x \in Partitions |-> IF x \in some THEN position[x] ELSE 0]]]
    /\ UNCHANGED <<source, relay, log, watermarks, document, position, reader>>

Load(p, x) ==
    /\ projector[p].hand = "none" /\ x \in projector[p].claimed
    /\ projector[p].next[x] < Len(log[x])
    /\ projector' = [projector EXCEPT ![p].hand = x, ![p].loaded = document]
    /\ position' = IF Has("progress with effects") THEN position
                   ELSE [position EXCEPT ![x] = Most(@, projector[p].next[x] + 1)]
    /\ UNCHANGED <<source, relay, log, watermarks, document, owner, reader>>

Save(p, x, folded) ==
    /\ document' = folded
    /\ position' = [position EXCEPT ![x] = Most(@, projector[p].next[x] + 1)]
    /\ projector' = [projector EXCEPT ![p] = [@ EXCEPT
            !.next[x] = @ + 1, !.hand = "none", !.loaded = Nothing]]

Fold(p) ==  \* documents.commit: fences, guarded rows and progress in one transaction
    /\ projector[p].hand # "none"
    /\ LET x == projector[p].hand
           loaded == projector[p].loaded
           version == Version(log[x][projector[p].next[x] + 1])
       IN  CASE Has("claims fence") /\ owner[x] # p ->
                    projector' = [projector EXCEPT ![p] = Rests] /\ UNCHANGED <<document, position>>
             [] OTHER ->
                IF version <= loaded[x] THEN Save(p, x, document)  \* a duplicate writes no row
                ELSE IF Has("rows are guarded") /\ loaded # document
                THEN /\ projector' = [projector EXCEPT ![p].hand = "none", ![p].loaded = Nothing]
                     /\ UNCHANGED <<document, position>>
                ELSE /\ version = loaded[x] + 1  \* else it halts (fold.MissingVersionError)
                     /\ Save(p, x, [loaded EXCEPT ![x] = version])
    /\ UNCHANGED <<source, relay, log, watermarks, owner, reader>>

-----------------------------------------------------------------------------
(* The gateway (slackwater/freshness/probe.py, source_track.py, board.py).  *)

Shows(e) == Version(e) <= document[Aggregates[e]]

\* The instant of sending: whatever is visible now must be shown. A token is the same question,
\* asked by the service after its COMMIT has returned (slackwater/freshness/token.py).
Ask(e) ==
    /\ reader.pc = "idle"
    /\ Has("instant of sending") /\ Has("token after commit") => e \in visible
    /\ reader' = [reader EXCEPT !.pc = "asked", !.event = e]
    /\ UNCHANGED <<source, relay, log, watermarks, store, projector>>

Answer ==  \* the source reads its tick some time after it was asked
    /\ reader.pc = "asked"
    /\ reader' = [reader EXCEPT !.pc = "answered", !.asked = tick]
    /\ UNCHANGED <<source, relay, log, watermarks, store, projector>>

\* A look-up by key counts the partition of its key, a list counts all. Whoever counts more waits
\* longer, so the partition of the event alone is the harder case.
IsReached(ends) ==  \* watermark.is_reached_by
    LET own == Aggregates[reader.event]
    IN IF Has("its own partition counts") THEN position[own] >= ends[own]
       ELSE \E x \in Partitions \ {own} : position[x] >= ends[x]

Proves(w) ==  \* source_track.reached and proven
    /\ IsReached(w.ends)
    /\ After(w.tick, reader.asked) \/ (~Has("later tick than the probe's") /\ w.tick = reader.asked)

Pin ==  \* board.reading; an answer that came after its event was visible, a token after its COMMIT
    /\ reader.pc = "answered" /\ reader.event \in visible
    /\ \E w \in watermarks : Proves(w)
    /\ reader' = [reader EXCEPT !.pc = IF Has("reading before data") THEN "pinned" ELSE "done"]
    /\ UNCHANGED <<source, relay, log, watermarks, store, projector>>

Read ==  \* after the reading, of the same version
    /\ reader.pc = IF Has("reading before data") THEN "pinned" ELSE "answered"
    /\ reader' = [reader EXCEPT !.shows = Shows(reader.event),
                                !.pc = IF Has("reading before data") THEN "done" ELSE @]
    /\ UNCHANGED <<source, relay, log, watermarks, store, projector>>

-----------------------------------------------------------------------------
Next ==
    /\ reader.pc # "done"
    /\ \/ \E e \in Events : Commit(e)
       \/ \E r \in Relays : \/ TakeLead(r) \/ RaiseTick(r) \/ Look(r) \/ ReadBatch(r)
                            \/ Publish(r) \/ Mark(r) \/ Emit(r)
       \/ \E p \in Projectors : \/ \E some \in SUBSET Partitions \ {{}} : Claim(p, some)
                                \/ \E x \in Partitions : Load(p, x)
                                \/ Fold(p)
       \/ \E e \in Events : Ask(e)
       \/ Answer \/ Pin \/ Read

Spec == Init /\ [][Next]_vars

Symmetry == Permutations(Relays) \union Permutations(Projectors)

Sound == reader.pc = "done" => reader.shows

\* Progress never covers what is not folded, and nothing is marked that the log does not hold.
ProgressIsTrue ==
    \A x \in Partitions : \A i \in 1..position[x] : Version(log[x][i]) <= document[x]
MarksAreTrue == \A e \in marked : \E i \in DOMAIN log[Aggregates[e]] : log[Aggregates[e]][i] = e
=============================================================================
