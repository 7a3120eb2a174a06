------------------------------ MODULE Parking ------------------------------
(***************************************************************************)
(* Holes that tell the truth.  An event that cannot be folded, and one     *)
(* whose predecessor is missing, is parked with the progress that passes   *)
(* it; later events of its key wait behind it, all other keys go on, and   *)
(* an operator replays or discards.  Nothing may be lost, a key's order    *)
(* must hold, and an answer may claim no more of a key than what lies      *)
(* before its first hole.                                                  *)
(*                                                                         *)
(* One partition; a relay that repeats and reorders is stood for by every  *)
(* log that there can be.                                                  *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
    Aggregates,  \* event i is of aggregate Aggregates[i]
    LogLength, ParkedMax, PoisonousMax,
    Projectors,
    Without      \* the safeguards that are left out

Safeguards == {
    "parked with progress", "versions are contiguous", "overflow halts", "rows are guarded",
    "claims fence", "holes are told", "holes with the reading", "a hole keeps its place"}
ASSUME Without \subseteq Safeguards
Has(safeguard) == safeguard \notin Without

SmallAggregates == <<"a", "a", "b">>
LargerAggregates == <<"a", "a", "a", "b">>

Events == DOMAIN Aggregates
Keys == {Aggregates[e] : e \in Events}
Version(e) == Cardinality({d \in 1..e : Aggregates[d] = Aggregates[e]})
Most(m, n) == IF m > n THEN m ELSE n

VARIABLES
    log, poisonous,   \* poisonous: what the projection cannot fold, until it is mended
    row,              \* by key: version, events applied in order, events parked in order
    discarded,
    position, owner,
    projector, operator, reader
vars == <<log, poisonous, row, discarded, position, owner, projector, operator, reader>>
store == <<row, discarded, position, owner>>

Empty == [version |-> 0, applied |-> <<>>, parked |-> <<>>]
Rests == [claimed |-> FALSE, next |-> 0, holds |-> FALSE, loaded |-> Empty]
Away == [key |-> "none", loaded |-> Empty]
NoHole == 0

Init ==
    /\ log \in [1..LogLength -> Events]
    /\ poisonous \in {some \in SUBSET Events : Cardinality(some) <= PoisonousMax}
    /\ row = [k \in Keys |-> Empty] /\ discarded = {}
    /\ position = 0 /\ owner = "nobody"
    /\ projector = [p \in Projectors |-> Rests] /\ operator = Away
    /\ reader = [pc |-> "idle", position |-> 0, holes |-> [k \in Keys |-> NoHole],
                 shown |-> [k \in Keys |-> 0]]

-----------------------------------------------------------------------------
(* What happens to one key's row.  `parked` holds [event, offset], by       *)
(* version.                                                                 *)

IsParked(r, e) == \E i \in DOMAIN r.parked : r.parked[i].event = e

RECURSIVE Drained(_)
Drained(r) ==  \* whatever is next by now is applied
    IF r.parked = <<>> \/ Head(r.parked).event \in poisonous
       \/ Version(Head(r.parked).event) # r.version + 1 THEN r
    ELSE Drained([version |-> r.version + 1, applied |-> Append(r.applied, Head(r.parked).event),
                  parked |-> Tail(r.parked)])

Applied(r, e) ==
    Drained([r EXCEPT !.version = Version(e), !.applied = Append(@, e)])

Parked(r, e, offset) ==
    LET isBefore(each) == Version(each.event) < Version(e)
        isBehind(each) == Version(each.event) > Version(e)
    IN [r EXCEPT !.parked = SelectSeq(@, isBefore) \o <<[event |-> e, offset |-> offset]>>
                            \o SelectSeq(@, isBehind)]

IsDuplicate(r, e) == Version(e) <= r.version \/ IsParked(r, e)
IsNext(r, e) == IF Has("versions are contiguous") THEN Version(e) = r.version + 1
                ELSE Version(e) > r.version  \* the newer wins
Overflows(r, e) == ~IsDuplicate(r, e) /\ ~(IsNext(r, e) /\ e \notin poisonous)
                   /\ Len(r.parked) = ParkedMax

Folded(r, e, offset) ==
    CASE IsDuplicate(r, e) -> r
      [] ~IsDuplicate(r, e) /\ IsNext(r, e) /\ e \notin poisonous -> Applied(r, e)
      [] OTHER -> IF Len(r.parked) < ParkedMax THEN Parked(r, e, offset) ELSE r

-----------------------------------------------------------------------------
(* The projector: effect, parked events and progress in one transaction.    *)

Claim(p) ==
    /\ owner' = p
    /\ projector' = [projector EXCEPT ![p] = [Rests EXCEPT !.claimed = TRUE, !.next = position]]
    /\ UNCHANGED <<log, poisonous, row, discarded, position, operator, reader>>

Load(p) ==
    /\ projector[p].claimed /\ ~projector[p].holds /\ projector[p].next < Len(log)
    /\ projector' = [projector EXCEPT ![p].holds = TRUE,
                                      ![p].loaded = row[Aggregates[log[projector[p].next + 1]]]]
    /\ position' = IF Has("parked with progress") THEN position
                   ELSE Most(position, projector[p].next + 1)
    /\ UNCHANGED <<log, poisonous, row, discarded, owner, operator, reader>>

Fold(p) ==
    /\ projector[p].holds
    /\ LET offset == projector[p].next + 1
           e == log[offset]
           k == Aggregates[e]
           loaded == projector[p].loaded
       IN  CASE Has("claims fence") /\ owner # p ->
                    projector' = [projector EXCEPT ![p] = Rests] /\ UNCHANGED <<row, position>>
             [] (Has("claims fence") => owner = p) /\ Has("rows are guarded") /\ loaded # row[k] ->
                    /\ projector' = [projector EXCEPT ![p].holds = FALSE, ![p].loaded = Empty]
                    /\ UNCHANGED <<row, position>>
             [] OTHER ->
                    /\ Overflows(loaded, e) => ~Has("overflow halts")  \* it stays where it is
                    /\ row' = [row EXCEPT ![k] = Folded(loaded, e, offset)]
                    /\ position' = Most(position, offset)
                    /\ projector' = [projector EXCEPT ![p] = [@ EXCEPT
                            !.next = offset, !.holds = FALSE, !.loaded = Empty]]
    /\ UNCHANGED <<log, poisonous, discarded, owner, operator, reader>>

-----------------------------------------------------------------------------
(* The operator: looks, then replays or discards what was looked at; each   *)
(* may be interrupted, and done twice.                                      *)

Mend(e) ==
    /\ e \in poisonous
    /\ poisonous' = poisonous \ {e}
    /\ UNCHANGED <<log, store, projector, operator, reader>>

Look(k) ==
    /\ row[k].parked # <<>>
    /\ operator' = [key |-> k, loaded |-> row[k]]
    /\ UNCHANGED <<log, poisonous, store, projector, reader>>

Commit(changed) ==
    /\ row' = [row EXCEPT ![operator.key] =
            IF Has("rows are guarded") /\ operator.loaded # @ THEN @ ELSE changed]
    /\ operator' = Away
    /\ UNCHANGED <<log, poisonous, position, owner, projector, reader>>

Replay ==  \* in order; an event that still cannot be folded stays where it is
    /\ operator.key # "none"
    /\ Commit(Drained(operator.loaded))
    /\ UNCHANGED discarded

Discard ==  \* the version that is next, parked or missing, is given up, and this is recorded
    /\ operator.key # "none"
    /\ LET r == operator.loaded
           isGivenUp(e) == Aggregates[e] = operator.key /\ Version(e) = r.version + 1
           isKept(each) == ~isGivenUp(each.event)
           isCurrent == Has("rows are guarded") => r = row[operator.key]
       IN  /\ Commit(Drained([r EXCEPT !.version = @ + 1, !.parked = SelectSeq(@, isKept)]))
           /\ discarded' = IF isCurrent THEN discarded \union {e \in Events : isGivenUp(e)}
                           ELSE discarded

-----------------------------------------------------------------------------
(* An answer: progress and holes are read at once, the data after them.     *)

FirstHole(k) ==
    IF row[k].parked = <<>> THEN NoHole
    ELSE LET offsets == {row[k].parked[i].offset : i \in DOMAIN row[k].parked}
         IN IF Has("a hole keeps its place")
            THEN CHOOSE o \in offsets : \A other \in offsets : o <= other
            ELSE CHOOSE o \in offsets : \A other \in offsets : o >= other
Holes == [k \in Keys |-> IF Has("holes are told") THEN FirstHole(k) ELSE NoHole]

LookAtHoles ==
    /\ ~Has("holes with the reading") /\ reader.pc = "idle"
    /\ reader' = [reader EXCEPT !.pc = "looked", !.holes = Holes]
    /\ UNCHANGED <<log, poisonous, store, projector, operator>>

Pin ==
    /\ reader.pc = IF Has("holes with the reading") THEN "idle" ELSE "looked"
    /\ reader' = [reader EXCEPT !.pc = "pinned", !.position = position,
                                !.holes = IF Has("holes with the reading") THEN Holes ELSE @]
    /\ UNCHANGED <<log, poisonous, store, projector, operator>>

Read ==
    /\ reader.pc = "pinned"
    /\ reader' = [reader EXCEPT !.pc = "done", !.shown = [k \in Keys |-> row[k].version]]
    /\ UNCHANGED <<log, poisonous, store, projector, operator>>

Next ==
    /\ reader.pc # "done"
    /\ \/ \E p \in Projectors : Claim(p) \/ Load(p) \/ Fold(p)
       \/ \E e \in Events : Mend(e)
       \/ \E k \in Keys : Look(k)
       \/ Replay \/ Discard
       \/ LookAtHoles \/ Pin \/ Read

Spec == Init /\ [][Next]_vars
-----------------------------------------------------------------------------
InRow(e) == \E i \in DOMAIN row[Aggregates[e]].applied : row[Aggregates[e]].applied[i] = e

\* Whatever progress has passed is folded, parked or discarded by somebody.
NothingIsLost ==
    \A i \in 1..position : \/ InRow(log[i]) \/ log[i] \in discarded
                           \/ IsParked(row[Aggregates[log[i]]], log[i])

\* A key's events are applied in order, each once, and none is left out that nobody discarded.
InOrder ==
    \A k \in Keys : LET r == row[k] IN
        /\ \A i, j \in DOMAIN r.applied : i < j => Version(r.applied[i]) < Version(r.applied[j])
        /\ \A e \in Events :
            Aggregates[e] = k /\ Version(e) <= r.version => InRow(e) \/ e \in discarded

IsBounded == \A k \in Keys : Len(row[k].parked) <= ParkedMax

\* A key without a hole shows all that progress covers; one with a hole, all that lies before it. So
\* a list is as stale as its worst hole, and except for the keys of its holes as progress says.
Sound ==
    reader.pc = "done" => \A i \in 1..reader.position :
        LET k == Aggregates[log[i]] IN
        reader.holes[k] = NoHole \/ i < reader.holes[k] => Version(log[i]) <= reader.shown[k]
=============================================================================
