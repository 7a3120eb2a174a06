---------------------------- MODULE LogFailover ----------------------------
(***************************************************************************)
(* A partition whose leader fails for a while.  A relay asks where the     *)
(* partition ends and puts that into its watermark; what a predecessor had *)
(* acknowledged and marked must lie before it, whichever broker answers    *)
(* (slackwater/event_log/kafka.py, kafka_offsets.py; docs/adr/0011).       *)
(*                                                                         *)
(* The brokers do as Kafka's do: the end is the high watermark, which      *)
(* followers learn later; a new leader has all that was acknowledged, and  *)
(* may not know yet that it was.                                           *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
    Events, Relays,
    EpochMax, TickMax, FailoversMax, AppendsMax,
    Deposed,  \* whether a leader that is none any more, and was not told, may answer
    Kept,     \* whether a relay holds an end against what its predecessors had acknowledged, too
    Without   \* the safeguards that are left out

Safeguards == {
    "acknowledged by all in sync", "two in sync", "clean election", "a new leader catches up first",
    "own acknowledgements count"}
ASSUME Without \subseteq Safeguards
Has(safeguard) == safeguard \notin Without

Brokers == {1, 2}
Other(b) == 3 - b
Zero == [epoch |-> 0, n |-> 0]
After(t, u) == t.epoch > u.epoch \/ (t.epoch = u.epoch /\ t.n > u.n)
Most(m, n) == IF m > n THEN m ELSE n
Least(m, n) == IF m < n THEN m ELSE n

VARIABLES
    visible, marked, tick, kept,  \* the source; `kept` is the acknowledged offset beside its tick
    leader, inSync, since, believes, failovers,  \* the controller's view, and what brokers believe
    log, high,                    \* by broker
    relay, watermarks, consumed, reader
vars == <<visible, marked, tick, kept, leader, inSync, since, believes, failovers, log, high,
          relay, watermarks, consumed, reader>>
source == <<visible, marked, tick, kept>>
clients == <<relay, watermarks, consumed, reader>>
cluster == <<leader, inSync, since, believes, failovers, log, high>>

StandsBy == [pc |-> "stands by", epoch |-> 0, tick |-> Zero, event |-> 0, at |-> 0, broker |-> 1,
             acknowledged |-> 0, end |-> 0]

Init ==
    /\ visible = {} /\ marked = {} /\ tick = Zero /\ kept = 0
    /\ leader = 1 /\ inSync = TRUE /\ since = 0 /\ believes = {1} /\ failovers = 0
    /\ log = [b \in Brokers |-> <<>>] /\ high = [b \in Brokers |-> 0]
    /\ relay = [r \in Relays |-> StandsBy]
    /\ watermarks = {} /\ consumed = <<>>
    /\ reader = [pc |-> "idle", event |-> 0, asked |-> Zero]

Commit(e) ==
    /\ e \notin visible
    /\ visible' = visible \union {e}
    /\ UNCHANGED <<marked, tick, kept, cluster, relay, watermarks, consumed, reader>>

-----------------------------------------------------------------------------
(* The brokers.                                                             *)

Fetch ==  \* the follower says how far it is, takes the next record, and learns the high watermark
    LET l == leader
        f == Other(leader)
        reached == IF inSync THEN Most(high[l], Least(Len(log[l]), Len(log[f]))) ELSE high[l]
        got == IF Len(log[f]) < Len(log[l]) THEN Append(log[f], log[l][Len(log[f]) + 1]) ELSE log[f]
    IN  /\ f \notin believes
        /\ log' = [log EXCEPT ![f] = got]
        /\ high' = [high EXCEPT ![l] = reached, ![f] = Most(@, Least(reached, Len(got)))]
        /\ UNCHANGED <<source, leader, inSync, since, believes, failovers, clients>>

Shrink ==  \* a follower that is too slow counts no more: the leader goes on alone
    /\ inSync /\ inSync' = FALSE
    /\ high' = [high EXCEPT ![leader] = Len(log[leader])]
    /\ UNCHANGED <<source, leader, since, believes, failovers, log, clients>>

Expand ==
    /\ ~inSync /\ log[Other(leader)] = log[leader] /\ inSync' = TRUE
    /\ UNCHANGED <<source, leader, since, believes, failovers, log, high, clients>>

Elect ==
    /\ failovers < FailoversMax
    /\ inSync \/ ~Has("clean election")
    /\ failovers' = failovers + 1
    /\ leader' = Other(leader) /\ since' = Len(log[leader']) /\ inSync' = FALSE
    /\ believes' = IF Deposed THEN Brokers ELSE {leader'}
    /\ UNCHANGED <<source, log, high, clients>>

CatchUp ==  \* alone in sync, the new leader may take all that it has for acknowledged
    /\ ~inSync /\ high[leader] < Len(log[leader])
    /\ high' = [high EXCEPT ![leader] = Len(log[leader])]
    /\ UNCHANGED <<source, leader, inSync, since, believes, failovers, log, clients>>

Resign ==  \* the deposed one hears of it, and drops what its successor has not
    LET f == Other(leader)
        shared == {n \in 0..Least(Len(log[f]), Len(log[leader])) :
                       SubSeq(log[f], 1, n) = SubSeq(log[leader], 1, n)}
        n == CHOOSE i \in shared : \A j \in shared : j <= i
    IN  /\ f \in believes \/ log[f] # SubSeq(log[f], 1, n)
        /\ believes' = {leader}
        /\ log' = [log EXCEPT ![f] = SubSeq(@, 1, n)]
        /\ high' = [high EXCEPT ![f] = Least(@, n)]
        /\ UNCHANGED <<source, leader, inSync, since, failovers, clients>>

-----------------------------------------------------------------------------
(* The relay, as in Freshness.tla; the log's part of each step is told in   *)
(* full.                                                                    *)

Holds(r) == relay[r].epoch = tick.epoch
Unpublished == visible \ marked
Useful(all, now) ==
    {w \in all : After(w.tick, IF reader.pc = "answered" THEN reader.asked ELSE now)}

TakeLead(r) ==  \* ticks.read_acknowledged tells what was acknowledged to its predecessors
    /\ tick.epoch < EpochMax
    /\ tick' = [tick EXCEPT !.epoch = @ + 1]
    /\ relay' = [relay EXCEPT ![r] = [StandsBy EXCEPT !.pc = "tick", !.epoch = tick'.epoch,
            !.acknowledged = IF Kept THEN kept ELSE 0]]
    /\ watermarks' = Useful(watermarks, tick')
    /\ UNCHANGED <<visible, marked, kept, cluster, consumed, reader>>

RaiseTick(r) ==
    /\ relay[r].pc = "tick"
    /\ IF Holds(r)
       THEN /\ tick.n < TickMax /\ tick' = [tick EXCEPT !.n = @ + 1]
            /\ relay' = [relay EXCEPT ![r].pc = "look", ![r].tick = tick']
            /\ watermarks' = Useful(watermarks, tick')
       ELSE relay' = [relay EXCEPT ![r] = StandsBy] /\ UNCHANGED <<tick, watermarks>>
    /\ UNCHANGED <<visible, marked, kept, cluster, consumed, reader>>

Look(r) ==
    /\ relay[r].pc = "look"
    /\ relay' = [relay EXCEPT ![r] =
        CASE ~Holds(r) -> StandsBy
          [] Holds(r) /\ Unpublished = {} -> [@ EXCEPT !.pc = "ask the end"]
          [] OTHER -> [@ EXCEPT !.pc = "append",
                                !.event = CHOOSE e \in Unpublished : \A d \in Unpublished : d >= e]]
    /\ UNCHANGED <<source, cluster, watermarks, consumed, reader>>

Produce(r, b) ==  \* once more, too, when no acknowledgement came
    /\ relay[r].pc \in {"append", "await"} /\ b \in believes
    /\ b = leader => inSync \/ ~Has("two in sync")
    /\ Len(log[b]) < AppendsMax
    /\ log' = [log EXCEPT ![b] = Append(@, relay[r].event)]
    /\ high' = IF b = leader /\ ~inSync THEN [high EXCEPT ![b] = Len(log'[b])] ELSE high
    /\ relay' = [relay EXCEPT ![r].pc = "await", ![r].at = Len(log'[b]), ![r].broker = b]
    /\ UNCHANGED <<source, leader, inSync, since, believes, failovers>>
    /\ UNCHANGED <<watermarks, consumed, reader>>

Acknowledged(r) ==
    LET b == relay[r].broker IN
    /\ relay[r].pc = "await" /\ b \in believes
    /\ Len(log[b]) >= relay[r].at /\ log[b][relay[r].at] = relay[r].event
    /\ Has("acknowledged by all in sync") => high[b] >= relay[r].at
    /\ b = leader => inSync \/ ~Has("two in sync")
    /\ relay' = [relay EXCEPT ![r].pc = "mark", ![r].at = 0,
                              ![r].acknowledged = Most(@, relay[r].at)]
    /\ UNCHANGED <<source, cluster, watermarks, consumed, reader>>

Mark(r) ==  \* what was acknowledged is kept with the marks (ticks.keep_acknowledged)
    /\ relay[r].pc = "mark"
    /\ IF Holds(r)
       THEN /\ marked' = marked \union {relay[r].event} /\ kept' = Most(kept, relay[r].acknowledged)
            /\ relay' = [relay EXCEPT ![r].pc = "look", ![r].event = 0]
       ELSE relay' = [relay EXCEPT ![r] = StandsBy] /\ UNCHANGED <<marked, kept>>
    /\ UNCHANGED <<visible, tick, cluster, watermarks, consumed, reader>>

AskTheEnd(r, b) ==  \* KIP-207; kafka.KafkaEventLog._require_current
    /\ relay[r].pc = "ask the end" /\ b \in believes
    /\ b = leader /\ Has("a new leader catches up first") => high[b] >= since
    /\ Has("own acknowledgements count") => high[b] >= relay[r].acknowledged
    /\ relay' = [relay EXCEPT ![r].pc = "emit", ![r].end = high[b]]
    /\ UNCHANGED <<source, cluster, watermarks, consumed, reader>>

Emit(r) ==
    /\ relay[r].pc = "emit"
    /\ LET watermark == [tick |-> relay[r].tick, end |-> relay[r].end]
       IN watermarks' = Useful(watermarks \union {watermark}, tick)
    /\ relay' = [relay EXCEPT ![r].pc = "tick", ![r].end = 0]
    /\ UNCHANGED <<source, cluster, consumed, reader>>

-----------------------------------------------------------------------------
Consume ==  \* up to the high watermark of whichever broker serves
    \E b \in believes :
        /\ Len(consumed) < high[b]
        /\ consumed' = Append(consumed, log[b][Len(consumed) + 1])
        /\ UNCHANGED <<source, cluster, relay, watermarks, reader>>

Ask(e) ==  \* one event stands for all that were visible at that instant
    /\ reader.pc = "idle" /\ e \in visible
    /\ reader' = [reader EXCEPT !.pc = "asked", !.event = e]
    /\ UNCHANGED <<source, cluster, relay, watermarks, consumed>>

Answer ==
    /\ reader.pc = "asked"
    /\ reader' = [reader EXCEPT !.pc = "answered", !.asked = tick]
    /\ UNCHANGED <<source, cluster, relay, watermarks, consumed>>

Next ==
    \/ \E e \in Events : Commit(e)
    \/ Fetch \/ Shrink \/ Expand \/ Elect \/ CatchUp \/ Resign
    \/ \E r \in Relays : \/ TakeLead(r) \/ RaiseTick(r) \/ Look(r)
                         \/ Acknowledged(r) \/ Mark(r) \/ Emit(r)
                         \/ \E b \in Brokers : Produce(r, b) \/ AskTheEnd(r, b)
    \/ \E e \in Events : Ask(e)
    \/ Consume \/ Answer

Spec == Init /\ [][Next]_vars
Symmetry == Permutations(Relays)

Contains(records, e) == \E i \in DOMAIN records : records[i] = e
Sound ==
    reader.pc = "answered" => \A w \in watermarks :
        After(w.tick, reader.asked) /\ Len(consumed) >= w.end =>
            Contains(consumed, reader.event)
MarksAreTrue == \A e \in marked : Contains(log[leader], e)
=============================================================================
