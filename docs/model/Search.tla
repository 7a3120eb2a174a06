------------------------------- MODULE Search -------------------------------
(***************************************************************************)
(* A search index shows what was written only after a refresh.  Progress   *)
(* that covers events must not be saved before they can be found, while    *)
(* folding goes on, projectors die and are replaced, and refreshes are     *)
(* shared (slackwater/read_models/target.py, showing.py,                   *)
(* elasticsearch_refresh.py).  A copy of the index may be left behind and  *)
(* go on answering (elasticsearch_stamps.py).                              *)
(*                                                                         *)
(* What a watermark makes of progress is in Freshness.tla.  Here the claim *)
(* of an answer is the progress that was read before it.                   *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
    Log,         \* the aggregates of the events of one partition, in order
    Projectors,
    Without      \* the safeguards that are left out

Safeguards == {
    "refresh before progress", "refresh begins after writes", "rows only read are refreshed",
    "newer versions only", "claims fence", "reading before data", "partial results are refused",
    "copies show the stamp", "stamps before refreshes"}
ASSUME Without \subseteq Safeguards
Has(safeguard) == safeguard \notin Without

SmallLog == <<"a", "b", "a">>
LargerLog == <<"a", "b", "a", "b">>

Rows == {Log[i] : i \in DOMAIN Log}
Version(i) == Cardinality({j \in 1..i : Log[j] = Log[i]})
Nothing == [row \in Rows |-> 0]
Most(m, n) == IF m > n THEN m ELSE n

\* A stamp is a number that grows with what has been written. As nothing but that matters, it is
\* counted here by what it speaks of, and the mark that a state shows is the stamp of that state.
RECURSIVE SumOf(_, _)
SumOf(state, rows) == IF rows = {} THEN 0
                      ELSE LET row == CHOOSE r \in rows : TRUE
                           IN  state[row] + SumOf(state, rows \ {row})
Stamp(state) == SumOf(state, Rows)

VARIABLES
    written, shown,    \* the index: what a look-up by id finds, and what a search finds
    left,              \* the copies that were left behind: what a search finds there
    position, stamp, owner,   \* progress, kept outside the index
    projector,
    reader
vars == <<written, shown, left, position, stamp, owner, projector, reader>>

Rests == [
    claimed |-> FALSE, next |-> 0, holds |-> FALSE, loaded |-> 0,
    touched |-> FALSE,  \* something was loaded or written since progress was last handed on
    pending |-> 0,      \* the position that waits for the next refresh; 0: none does
    refresh |-> "none", saves |-> 0, sees |-> Nothing, stamp |-> 0]

Init ==
    /\ written = Nothing /\ shown = Nothing /\ left = {}
    /\ position = 0 /\ stamp = 0 /\ owner = "nobody"
    /\ projector = [p \in Projectors |-> Rests]
    /\ reader = [pc |-> "idle", claims |-> 0, asks |-> 0, found |-> Nothing]

-----------------------------------------------------------------------------
Claim(p) ==  \* projector.assigned: what was pending is abandoned, and folded again
    /\ owner' = p
    /\ projector' = [projector EXCEPT ![p] = [Rests EXCEPT !.claimed = TRUE, !.next = position]]
    /\ UNCHANGED <<written, shown, left, position, stamp, reader>>

Load(p) ==  \* SearchTarget.load
    /\ projector[p].claimed /\ ~projector[p].holds /\ projector[p].next < Len(Log)
    /\ projector' = [projector EXCEPT ![p] = [@ EXCEPT
            !.holds = TRUE, !.loaded = written[Log[projector[p].next + 1]],
            !.touched = @ \/ Has("rows only read are refreshed")]]
    /\ UNCHANGED <<written, shown, left, position, stamp, owner, reader>>

MaySave(p) == Has("claims fence") => owner = p

Write(p) ==  \* SearchTarget.commit; a row whose version is not newer is refused by the engine
    /\ projector[p].holds
    /\ LET next == projector[p].next + 1
           row == Log[next]
           isNew == Version(next) > projector[p].loaded
           touched == projector[p].touched \/ isNew
           isIdle == projector[p].pending = 0 /\ projector[p].refresh = "none"
           went == [projector[p] EXCEPT !.holds = FALSE, !.loaded = 0, !.next = next,
                                        !.touched = FALSE]
       IN  /\ isNew => Version(next) = projector[p].loaded + 1
           /\ written' = IF ~isNew THEN written
                         ELSE [written EXCEPT ![row] =
                            IF Has("newer versions only") THEN Most(@, Version(next))
                            ELSE Version(next)]
           /\ CASE Has("refresh before progress") /\ (touched \/ ~isIdle) ->
                    /\ projector' = [projector EXCEPT ![p] =
                            IF ~Has("refresh begins after writes") /\ went.refresh = "runs"
                            THEN [went EXCEPT !.saves = next]
                            ELSE [went EXCEPT !.pending = next]]
                    /\ UNCHANGED position
                [] OTHER ->  \* progress.save at once
                    IF MaySave(p)
                    THEN /\ projector' = [projector EXCEPT ![p] = went]
                         /\ position' = Most(position, next)
                    ELSE projector' = [projector EXCEPT ![p] = Rests] /\ UNCHANGED position
    /\ UNCHANGED <<shown, left, stamp, owner, reader>>

BeginRefresh(p) ==  \* Showing._show_and_save; who comes while it runs waits for the next
    /\ projector[p].refresh = "none" /\ projector[p].pending > 0
    /\ projector' = [projector EXCEPT ![p] = [@ EXCEPT
            !.refresh = "runs", !.saves = projector[p].pending, !.pending = 0, !.sees = written,
            !.stamp = IF Has("stamps before refreshes") THEN Stamp(written) ELSE Stamp(shown)]]
    /\ UNCHANGED <<written, shown, left, position, stamp, owner, reader>>

EndRefresh(p) ==  \* one that failed begins again and shows no less
    /\ projector[p].refresh = "runs"
    /\ shown' = [row \in Rows |-> IF Has("newer versions only")
                                  THEN Most(shown[row], projector[p].sees[row])
                                  ELSE projector[p].sees[row]]
    /\ projector' = [projector EXCEPT ![p].refresh = "ended", ![p].sees = Nothing]
    /\ UNCHANGED <<written, left, position, stamp, owner, reader>>

SaveShown(p) ==
    /\ projector[p].refresh = "ended"
    /\ IF MaySave(p)
       THEN /\ position' = Most(position, projector[p].saves)
            /\ stamp' = Most(stamp, projector[p].stamp)
            /\ projector' = [projector EXCEPT ![p].refresh = "none", ![p].saves = 0,
                                              ![p].stamp = 0]
       ELSE projector' = [projector EXCEPT ![p] = Rests] /\ UNCHANGED <<position, stamp>>
    /\ UNCHANGED <<written, shown, left, owner, reader>>

LeaveBehind ==  \* a node loses the others, and clients go on reaching it
    /\ left = {}
    /\ left' = {shown}
    /\ UNCHANGED <<written, shown, position, stamp, owner, projector, reader>>

-----------------------------------------------------------------------------
Pin ==
    /\ reader.pc = IF Has("reading before data") THEN "idle" ELSE "searched"
    /\ reader' = [reader EXCEPT !.claims = position, !.asks = stamp,
                                !.pc = IF Has("reading before data") THEN "pinned" ELSE "done"]
    /\ UNCHANGED <<written, shown, left, position, stamp, owner, projector>>

Search ==
    /\ reader.pc = IF Has("reading before data") THEN "pinned" ELSE "idle"
    /\ reader' = [reader EXCEPT !.found = shown,
                                !.pc = IF Has("reading before data") THEN "done" ELSE "searched"]
    /\ UNCHANGED <<written, shown, left, position, stamp, owner, projector>>

SearchLeft ==  \* PartialResultError, and no answer, where the mark is older than the stamp
    /\ reader.pc = "pinned"
    /\ \E copy \in left :
        reader' = IF Has("copies show the stamp") /\ Stamp(copy) < reader.asks
                  THEN [reader EXCEPT !.pc = "refused"]
                  ELSE [reader EXCEPT !.pc = "done", !.found = copy]
    /\ UNCHANGED <<written, shown, left, position, stamp, owner, projector>>

SearchPartly ==  \* a shard failed: PartialResultError, and no answer
    /\ reader.pc = "pinned"
    /\ \E row \in Rows :
        reader' = IF Has("partial results are refused") THEN [reader EXCEPT !.pc = "refused"]
                  ELSE [reader EXCEPT !.pc = "done", !.found = [shown EXCEPT ![row] = 0]]
    /\ UNCHANGED <<written, shown, left, position, stamp, owner, projector>>

Next ==
    /\ reader.pc \notin {"done", "refused"}
    /\ \/ \E p \in Projectors : \/ Claim(p) \/ Load(p) \/ Write(p)
                                \/ BeginRefresh(p) \/ EndRefresh(p) \/ SaveShown(p)
       \/ LeaveBehind
       \/ Pin \/ Search \/ SearchLeft \/ SearchPartly

Spec == Init /\ [][Next]_vars
Symmetry == Permutations(Projectors)

Sound == reader.pc = "done" => \A i \in 1..reader.claims : Version(i) <= reader.found[Log[i]]
ProgressIsShown == \A i \in 1..position : Version(i) <= shown[Log[i]]
=============================================================================
