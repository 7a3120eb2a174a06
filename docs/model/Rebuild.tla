------------------------------ MODULE Rebuild ------------------------------
(***************************************************************************)
(* The next version of a read model is built beside the one in use, and    *)
(* readers switch to it (slackwater/parts/rebuild.py, ProgressStore.       *)
(* activate, FreshnessBoard; docs/adr/0014).  Whatever a gateway has       *)
(* promised before the switch, by a bound or for a token, it shows after   *)
(* it.                                                                     *)
(*                                                                         *)
(* Events are counted by partition: to have folded n of a partition is to  *)
(* show its first n events.                                                *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    Partitions, LogMax, Versions, ReadsMax,
    OldStandsStill,  \* whether nobody folds into the old version from the switch on
    Without  \* the safeguards that are left out

Safeguards == {
    "all positions of the old version", "compared in the step of the switch",
    "begins with nothing reached", "one version for reading and data",
    "proven anew when progress goes back", "a dropped version is an error"}
ASSUME Without \subseteq Safeguards
Has(safeguard) == safeguard \notin Without

VARIABLES
    log,                 \* by partition: how many events it holds
    registered, dropped, active,
    rows, position,      \* by version and partition
    mayFollow,           \* a comparison that came out well, where it is no part of the switch
    board,               \* what the gateway knows: of which version, and what that has reached
    reader
vars == <<log, registered, dropped, active, rows, position, mayFollow, board, reader>>

Nothing == [x \in Partitions |-> 0]
Most(m, n) == IF m > n THEN m ELSE n
Greatest(left, right) == [x \in Partitions |-> Most(left[x], right[x])]
Covers(ahead, behind) == \A x \in Partitions : ahead[x] >= behind[x]

Init ==
    /\ log = Nothing
    /\ registered = 1 /\ dropped = 0 /\ active = 1  \* versions up to `dropped` are removed
    /\ rows = [v \in 1..Versions |-> Nothing] /\ position = rows
    /\ mayFollow = FALSE
    /\ board = [version |-> 1, reached |-> Nothing]
    /\ reader = [pc |-> "idle", reads |-> 0, version |-> 1, claims |-> Nothing,
                 shown |-> Nothing, promised |-> Nothing, seen |-> Nothing]

Publish(x) ==
    /\ log[x] < LogMax
    /\ log' = [log EXCEPT ![x] = @ + 1]
    /\ UNCHANGED <<registered, dropped, active, rows, position, mayFollow, board, reader>>

Fold(v, x) ==  \* rows and progress are one; also by projectors that have not followed the switch
    /\ v > dropped /\ v <= registered /\ rows[v][x] < log[x]
    /\ OldStandsStill => v >= active
    /\ rows' = [rows EXCEPT ![v][x] = @ + 1]
    /\ position' = [position EXCEPT ![v][x] = Most(@, rows'[v][x])]
    /\ UNCHANGED <<log, registered, dropped, active, mayFollow, board, reader>>

Register ==  \* rebuild._next_version
    /\ registered = active /\ registered < Versions
    /\ registered' = registered + 1
    /\ position' = IF Has("begins with nothing reached") THEN position
                   ELSE [position EXCEPT ![registered'] = position[active]]
    /\ UNCHANGED <<log, dropped, active, rows, mayFollow, board, reader>>

IsReady ==
    IF Has("all positions of the old version") THEN Covers(position[registered], position[active])
    ELSE \E x \in Partitions : position[registered][x] >= position[active][x]

Compare ==
    /\ ~Has("compared in the step of the switch") /\ registered > active /\ IsReady
    /\ mayFollow' = TRUE
    /\ UNCHANGED <<log, registered, dropped, active, rows, position, board, reader>>

Switch ==  \* ProgressStore.activate: one step in the store
    /\ registered > active
    /\ IF Has("compared in the step of the switch") THEN IsReady ELSE mayFollow
    /\ active' = registered /\ mayFollow' = FALSE
    /\ UNCHANGED <<log, registered, dropped, rows, position, board, reader>>

Drop ==  \* rebuild.drop_left_versions, while some request may still read the old version
    /\ dropped + 1 < active
    /\ dropped' = dropped + 1
    /\ rows' = [rows EXCEPT ![dropped'] = Nothing]
    /\ UNCHANGED <<log, registered, active, position, mayFollow, board, reader>>

-----------------------------------------------------------------------------
Follow ==  \* FreshnessBoard.on_progress
    /\ LET now == position[active]
           keeps == Has("proven anew when progress goes back") => Covers(now, board.reached)
       IN board' = [version |-> active,
                    reached |-> IF keeps THEN Greatest(board.reached, now)
                                ELSE now]
    /\ UNCHANGED <<log, registered, dropped, active, rows, position, mayFollow, reader>>

ChooseVersion ==  \* without one pinned version, the rows to read are named before the reading
    /\ ~Has("one version for reading and data") /\ reader.pc = "idle" /\ reader.reads < ReadsMax
    /\ reader' = [reader EXCEPT !.pc = "chosen", !.version = board.version]
    /\ UNCHANGED <<log, registered, dropped, active, rows, position, mayFollow, board>>

Pin ==
    /\ reader.pc = IF Has("one version for reading and data") THEN "idle" ELSE "chosen"
    /\ reader.reads < ReadsMax
    /\ reader' = [reader EXCEPT !.pc = "pinned", !.claims = board.reached,
            !.version = IF Has("one version for reading and data") THEN board.version ELSE @]
    /\ UNCHANGED <<log, registered, dropped, active, rows, position, mayFollow, board>>

Read ==
    /\ reader.pc = "pinned"
    /\ reader' = IF reader.version <= dropped /\ Has("a dropped version is an error")
                 THEN [reader EXCEPT !.pc = "idle", !.reads = @ + 1, !.claims = Nothing]
                 ELSE [reader EXCEPT !.pc = "read", !.reads = @ + 1, !.shown = rows[reader.version]]
    /\ UNCHANGED <<log, registered, dropped, active, rows, position, mayFollow, board>>

GoOn ==
    /\ reader.pc = "read"
    /\ reader' = [reader EXCEPT !.pc = "idle", !.claims = Nothing, !.shown = Nothing,
                                !.promised = Greatest(@, reader.claims),
                                !.seen = Greatest(@, reader.shown)]
    /\ UNCHANGED <<log, registered, dropped, active, rows, position, mayFollow, board>>

Next ==
    \/ \E x \in Partitions : Publish(x) \/ \E v \in 1..Versions : Fold(v, x)
    \/ Register \/ Compare \/ Switch \/ Drop
    \/ Follow \/ ChooseVersion \/ Pin \/ Read \/ GoOn

Spec == Init /\ [][Next]_vars
Symmetry == Permutations(Partitions)

Sound == reader.pc = "read" => Covers(reader.shown, reader.claims)
PromisesStay == reader.pc = "read" => Covers(reader.shown, reader.promised)

\* More than is promised: what was shown beyond a bound may be gone for a moment after the switch,
\* unless nobody folds into the old version any more.
NeverBack == reader.pc = "read" => Covers(reader.shown, reader.seen)
=============================================================================
