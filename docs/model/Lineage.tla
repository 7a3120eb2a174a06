------------------------------ MODULE Lineage ------------------------------
(***************************************************************************)
(* A source whose database is put back to an older state: to a backup, or  *)
(* by an asynchronous standby that takes over; and a log that is put back. *)
(* Ticks are raised again that were raised before, and other events get    *)
(* the versions of those that were lost.  So whoever takes the lead        *)
(* compares database and log, and begins a new timeline where they have    *)
(* parted (slackwater/outbox/lineage.py, ticks.py, leader.py, log_side.py; *)
(* docs/adr/0016).                                                         *)
(*                                                                         *)
(* The database is one value that each commit replaces, so a backup of it  *)
(* is what some commit has left: a prefix of the order of commits.  What   *)
(* works on it is stopped before it is put back, as the how-to demands.    *)
(* One topic of one partition; nothing is removed from the outbox.         *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
    Aggregates,  \* event i is of aggregate Aggregates[i]; i is its position in the outbox
    Relays,
    LeadsBefore, LeadsAfter,  \* how often relays take the lead until one is put back, and then
    TickMax, RestoresMax, LossesMax,
    AnyOrder,    \* whether events may be committed in another order than that of their positions
    Without      \* the safeguards that are left out

Safeguards == {
    "stopped before it is put back", "a service looks before it serves",
    "the log's tick is not later", "compared from what was acknowledged",
    "the log ends behind what was acknowledged", "a tick beyond the log's",
    "all is published again", "a timeline begins in the log first",
    "consumers follow one timeline", "a claim counts in its own timeline"}
ASSUME Without \subseteq Safeguards
Has(safeguard) == safeguard \notin Without

\* Small histories. Where something is lost, what is committed later has its versions.
ChangedOnce == <<"a">>
ChangedTwice == <<"a", "a">>
TwoAggregates == <<"a", "b">>

Events == DOMAIN Aggregates
Service == "service"

VARIABLES
    database,           \* the source's: rows in the order of their commits, marks, tick, and so on
    backup,             \* an earlier state of it, if one is kept: a sequence of one or of none
    committed, drawn,   \* the events, and the number of timelines, that there ever were
    leads, restores, losses,
    process,            \* the relays, and the service, which looks before it serves
    log, newest,        \* the events, and the newest watermark
    copy,               \* an earlier state of both, if one is kept
    claims, questions,  \* what gateways have heard, and what they have asked
    readModel
vars == <<database, backup, committed, drawn, leads, restores, losses, process, log, newest, copy,
          claims, questions, readModel>>
counts == <<committed, leads, restores, losses>>
kept == <<backup, copy>>

After(t, u) == t.epoch > u.epoch \/ (t.epoch = u.epoch /\ t.n > u.n)
Most(m, n) == IF m > n THEN m ELSE n
Least(m, n) == IF m < n THEN m ELSE n
Contains(rows, e) == \E i \in DOMAIN rows : rows[i] = e
Version(rows, e) ==
    Cardinality({i \in DOMAIN rows : rows[i] <= e /\ Aggregates[rows[i]] = Aggregates[e]})

Unheard == [timeline |-> 0, epoch |-> 0, n |-> 0, end |-> 0, since |-> 0]  \* no watermark yet
Rests == [pc |-> "stands by", timeline |-> 0, epoch |-> 0, n |-> 0, acknowledged |-> 0,
          known |-> Unheard, since |-> 0, end |-> 0, batch |-> <<>>]
Serving == [Rests EXCEPT !.pc = "serves"]
Unfolded == [x \in {Aggregates[e] : e \in Events} |-> <<>>]

Init ==
    /\ database = [rows |-> <<>>, marked |-> {}, timeline |-> 0, epoch |-> 0, n |-> 0,
                   acknowledged |-> 0]
    /\ backup = <<>> /\ committed = {} /\ drawn = 0
    /\ leads = 0 /\ restores = 0 /\ losses = 0
    /\ process = [p \in Relays |-> Rests] @@ (Service :> Serving)
    /\ log = <<>> /\ newest = Unheard /\ copy = <<>> /\ claims = {} /\ questions = {}
    /\ readModel = [timeline |-> 0, next |-> 0, document |-> Unfolded]

\* A claim whose tick is not later than anything that may still be answered is forgotten, and the
\* states are fewer.
Useful(all, now) ==
    {w \in all : \/ \E asked \in questions : After(w, asked)
                 \/ After(w, now) \/ (backup # <<>> /\ After(w, backup[1]))}

\* The harder a question, the earlier it was asked; the earliest is answered with the tick at which
\* its event was committed, or in another timeline with that at which it begins.
Asked(e, state) ==
    [event |-> e, timeline |-> state.timeline, epoch |-> state.epoch, n |-> state.n]
AllAsked(state) == {Asked(state.rows[i], state) : i \in DOMAIN state.rows}

Becomes(p, state) == process' = [process EXCEPT ![p] = state]

-----------------------------------------------------------------------------
(* Whether the log holds our history (lineage.take_lead, settle, _parting). *)
(* A relay takes an epoch and looks; a service looks, and takes one only    *)
(* where the histories have parted.                                         *)

Looks(p) == p = Service /\ process[p].epoch = 0
Holds(p) == process[p].epoch = database.epoch  \* ticks.hold_epoch, require_epoch
Fenced(p) == Becomes(p, IF p = Service THEN [Rests EXCEPT !.pc = "look"] ELSE Rests)

TakeEpoch(p) ==  \* ticks.begin_ticks, take_epoch and read_acknowledged in one transaction
    /\ IF p = Service THEN process[p].pc = "take lead" /\ UNCHANGED leads
       ELSE /\ leads < IF restores + losses = 0 THEN LeadsBefore ELSE LeadsAfter
            /\ leads' = leads + 1
    /\ drawn' = IF database.timeline = 0 THEN drawn + 1 ELSE drawn
    /\ database' = [database EXCEPT !.epoch = @ + 1, !.timeline = IF @ = 0 THEN drawn' ELSE @]
    /\ Becomes(p, [Rests EXCEPT
            !.pc = "read newest", !.timeline = database'.timeline, !.epoch = database'.epoch,
            !.n = database'.n, !.acknowledged = database'.acknowledged])
    /\ questions' = IF drawn' = drawn THEN questions ELSE questions \union AllAsked(database')
    /\ claims' = Useful(claims, database')
    /\ UNCHANGED <<kept, committed, restores, losses, log, newest, readModel>>

Look ==  \* lineage.settle: what was acknowledged is read before the log, the tick after it
    /\ process[Service].pc = "look"
    /\ Becomes(Service, [Rests EXCEPT !.pc = "read newest", !.acknowledged = database.acknowledged])
    /\ UNCHANGED <<database, kept, drawn, counts, log, newest, claims, questions, readModel>>

\* What tells without a look at the events.
HasParted(held, known) ==
    IF known = Unheard THEN held.n > 0
    ELSE \/ known.timeline # held.timeline
         \/ Has("the log's tick is not later") /\ (known.epoch >= held.epoch \/ known.n > held.n)

\* Who has found them parted begins a timeline; a service takes an epoch of its own before.
Parted(p, known) ==
    IF Looks(p) THEN [Rests EXCEPT !.pc = "take lead"]
    ELSE [process[p] EXCEPT !.pc = "begin", !.known = known, !.acknowledged = 0, !.end = 0]

Judged(p, held, known) ==
    CASE HasParted(held, known) -> Parted(p, known)
      [] known = Unheard /\ ~HasParted(held, known) ->
            IF Looks(p) THEN Serving ELSE [process[p] EXCEPT !.pc = "read since"]
      [] OTHER -> [process[p] EXCEPT !.pc = "read ends", !.known = known]

ReadNewest(p) ==  \* watermarks.newest.newest_watermarks
    /\ process[p].pc = "read newest"
    /\ Becomes(p, IF Looks(p) THEN [process[p] EXCEPT !.pc = "look again", !.known = newest]
                  ELSE Judged(p, process[p], newest))
    /\ UNCHANGED <<database, kept, drawn, counts, log, newest, claims, questions, readModel>>

LookAgain ==  \* lineage.settle judges as if it had the next epoch
    /\ process[Service].pc = "look again"
    /\ Becomes(Service,
               Judged(Service, [database EXCEPT !.epoch = @ + 1], process[Service].known))
    /\ UNCHANGED <<database, kept, drawn, counts, log, newest, claims, questions, readModel>>

IsCut(p, end) ==  \* what was claimed, and what was acknowledged, the log must still have
    LET acknowledged == IF Has("the log ends behind what was acknowledged")
                        THEN process[p].acknowledged ELSE 0
    IN end < Most(process[p].known.end, acknowledged)

ReadEnds(p) ==
    /\ process[p].pc = "read ends"
    /\ Becomes(p, IF IsCut(p, Len(log)) THEN Parted(p, process[p].known)
                  ELSE [process[p] EXCEPT !.pc = "compare", !.end = Len(log)])
    /\ UNCHANGED <<database, kept, drawn, counts, log, newest, claims, questions, readModel>>

\* Records before what the database holds as acknowledged count as known; who reads them looks there
\* again, in the snapshot in which it looks for the events (lineage._has_all).
IsKnown(p) ==
    LET mine == process[p]
        first == CASE ~Has("compared from what was acknowledged") -> mine.known.end
                   [] mine.acknowledged > 0 -> mine.acknowledged
                   [] OTHER -> mine.known.since
    IN \A i \in (Most(first, database.acknowledged) + 1)..Least(mine.end, Len(log)) :
            log[i].timeline = mine.known.timeline => Contains(database.rows, log[i].event)

Compare(p) ==
    /\ process[p].pc = "compare"
    /\ Becomes(p,
        CASE ~IsKnown(p) -> Parted(p, process[p].known)
          [] p = Service /\ IsKnown(p) -> Serving
          [] OTHER -> [process[p] EXCEPT !.pc = "tick", !.since = process[p].known.since,
                                         !.known = Unheard, !.end = 0])
    /\ UNCHANGED <<database, kept, drawn, counts, log, newest, claims, questions, readModel>>

BeginTimeline(p) ==  \* ticks.begin_timeline, unpublished.mark_all_unpublished
    /\ process[p].pc = "begin"
    /\ IF Holds(p)
       THEN LET known == IF Has("a tick beyond the log's") THEN process[p].known ELSE Unheard
            IN  /\ drawn' = drawn + 1
                /\ database' = [database EXCEPT
                        !.timeline = drawn', !.epoch = Most(@, known.epoch + 1),
                        !.n = Most(@, known.n), !.acknowledged = 0,
                        !.marked = IF Has("all is published again") THEN {} ELSE @]
                /\ Becomes(p, [Rests EXCEPT
                        !.timeline = drawn', !.epoch = database'.epoch, !.n = database'.n,
                        !.pc = "read since"])
                /\ questions' = questions \union AllAsked(database')
                /\ claims' = Useful(claims, database')
       ELSE Fenced(p) /\ UNCHANGED <<database, drawn, questions, claims>>
    /\ UNCHANGED <<kept, counts, log, newest, readModel>>

Begun(p) == IF p = Service THEN Serving ELSE [process[p] EXCEPT !.pc = "tick"]

ReadSince(p) ==  \* lineage._announce; without the safeguard the first claim tells of the timeline
    /\ process[p].pc = "read since"
    /\ Becomes(p, IF Has("a timeline begins in the log first")
                  THEN [process[p] EXCEPT !.pc = "announce", !.since = Len(log)]
                  ELSE [Begun(p) EXCEPT !.since = IF p = Service THEN 0 ELSE Len(log)])
    /\ UNCHANGED <<database, kept, drawn, counts, log, newest, claims, questions, readModel>>

Told(p, end) ==
    [timeline |-> process[p].timeline, epoch |-> process[p].epoch, n |-> process[p].n,
     end |-> end, since |-> process[p].since]
Newest(watermark) == IF After(watermark, newest) THEN watermark ELSE newest

Announce(p) ==  \* it claims nothing, and says where the timeline begins
    /\ process[p].pc = "announce"
    /\ newest' = Newest(Told(p, process[p].since))
    /\ Becomes(p, Begun(p))
    /\ UNCHANGED <<database, kept, drawn, counts, log, claims, questions, readModel>>

-----------------------------------------------------------------------------
(* The relay that leads (leader.step, log_side.py), as in Freshness.tla.    *)

RaiseTick(p) ==  \* ticks.raise_tick: with it the database keeps what was acknowledged until then
    /\ process[p].pc = "tick"
    /\ IF Holds(p)
       THEN /\ database.n < TickMax
            /\ database' = [database EXCEPT !.n = @ + 1, !.acknowledged = process[p].acknowledged]
            /\ Becomes(p, [process[p] EXCEPT !.n = database'.n, !.pc = "read batch"])
            /\ claims' = Useful(claims, database')
       ELSE Fenced(p) /\ UNCHANGED <<database, claims>>
    /\ UNCHANGED <<kept, drawn, counts, log, newest, questions, readModel>>

Unpublished ==
    LET marked == database.marked
        events == SortSeq(SelectSeq(database.rows, LAMBDA e : e \notin marked), <)
    IN [i \in DOMAIN events |->
            [event |-> events[i], version |-> Version(database.rows, events[i])]]

ReadBatch(p) ==  \* leader._read_first: a snapshot after the tick; one batch holds all
    /\ process[p].pc = "read batch"
    /\ Becomes(p, IF ~Holds(p) THEN Rests
                  ELSE [process[p] EXCEPT
                        !.batch = Unpublished,
                        !.pc = IF Unpublished = <<>> THEN "read end" ELSE "append"])
    /\ UNCHANGED <<database, kept, drawn, counts, log, newest, claims, questions, readModel>>

\* log_side.publish: one after the other, and it may die in between. A log that goes on before what
\* it had acknowledged was put back; who hears of that leads no more.
Publish(p) ==
    /\ process[p].pc = "append"
    /\ LET i == process[p].end + 1
           batch == process[p].batch
       IN  /\ log' = Append(log, batch[i] @@ [timeline |-> process[p].timeline])
           /\ Becomes(p, CASE Len(log) < process[p].acknowledged -> Rests
                           [] i < Len(batch) -> [process[p] EXCEPT !.end = i]
                           [] OTHER -> [process[p] EXCEPT !.end = 0, !.pc = "mark",
                                                          !.acknowledged = Len(log')])
    /\ UNCHANGED <<database, kept, drawn, counts, newest, claims, questions, readModel>>

Mark(p) ==  \* leader._mark: with the marks the database keeps what was acknowledged
    /\ process[p].pc = "mark"
    /\ IF Holds(p)
       THEN /\ database' = [database EXCEPT
                    !.marked = @ \union {process[p].batch[i].event : i \in DOMAIN process[p].batch},
                    !.acknowledged = process[p].acknowledged]
            /\ Becomes(p, [process[p] EXCEPT !.batch = <<>>, !.pc = "read end"])
       ELSE Fenced(p) /\ UNCHANGED database
    /\ UNCHANGED <<kept, drawn, counts, log, newest, claims, questions, readModel>>

ReadEnd(p) ==  \* log_side.claim
    /\ process[p].pc = "read end"
    /\ LET end == Most(Len(log), process[p].acknowledged)
       IN Becomes(p, [process[p] EXCEPT !.end = end, !.acknowledged = end, !.pc = "claim"])
    /\ UNCHANGED <<database, kept, drawn, counts, log, newest, claims, questions, readModel>>

Claim(p) ==
    /\ process[p].pc = "claim"
    /\ newest' = Newest(Told(p, process[p].end))
    /\ claims' = Useful(claims \union {Told(p, process[p].end)}, database)
    /\ Becomes(p, [process[p] EXCEPT !.end = 0, !.pc = "tick"])
    /\ UNCHANGED <<database, kept, drawn, counts, log, questions, readModel>>

-----------------------------------------------------------------------------
(* The service commits, and what is committed is put back.                  *)

Commit(e) ==  \* its position was given before, and those of one aggregate follow one another
    /\ process[Service].pc = "serves" /\ e \notin committed
    /\ \A d \in (1..(e - 1)) \ committed : AnyOrder /\ Aggregates[d] # Aggregates[e]
    /\ committed' = committed \union {e}
    /\ database' = [database EXCEPT !.rows = Append(@, e)]
    /\ questions' = questions \union {Asked(e, database)}
    /\ UNCHANGED <<kept, drawn, leads, restores, losses, process, log, newest, claims, readModel>>

Keep ==  \* a backup, or how far a standby is
    /\ restores < RestoresMax /\ backup = <<>> /\ backup' = <<database>>
    /\ UNCHANGED <<database, copy, drawn, counts, process, log, newest, claims, questions,
                   readModel>>

Restore ==  \* nobody can be shown what is lost
    /\ backup # <<>> /\ backup' = <<>> /\ database' = backup[1]
    /\ questions' = {asked \in questions : Contains(backup[1].rows, asked.event)}
    /\ restores' = restores + 1 /\ leads' = 0
    /\ process' = [p \in Relays |->
                       IF Has("stopped before it is put back") THEN Rests ELSE process[p]]
                  @@ (Service :> IF Has("a service looks before it serves")
                                 THEN [Rests EXCEPT !.pc = "look"] ELSE Serving)
    /\ UNCHANGED <<copy, committed, drawn, losses, log, newest, claims, readModel>>

KeepLog ==
    /\ losses < LossesMax /\ copy = <<>> /\ copy' = <<[log |-> log, newest |-> newest]>>
    /\ UNCHANGED <<database, backup, drawn, counts, process, log, newest, claims, questions,
                   readModel>>

LoseLog ==  \* the events' topic with that of the watermarks, or alone; what gateways know they know
    /\ copy # <<>> /\ copy' = <<>>
    /\ losses' = losses + 1 /\ leads' = 0
    /\ log' = copy[1].log /\ newest' \in {newest, copy[1].newest}
    /\ process' = [p \in DOMAIN process |->
                       IF p # Service /\ (Has("stopped before it is put back")
                                            \/ process[p].pc = "append")  \* what is underway fails
                       THEN Rests ELSE process[p]]
    /\ UNCHANGED <<database, backup, drawn, committed, restores, claims, questions, readModel>>

-----------------------------------------------------------------------------
(* The projector (consumer/timelines.py, read_models/projector.py).         *)

Begins(timeline, next) ==
    readModel' = [timeline |-> timeline, next |-> next, document |-> Unfolded]

Assigned ==  \* timelines.begun: where the newest timeline begins
    /\ readModel.timeline = 0 /\ newest # Unheard
    /\ Begins(newest.timeline, newest.since)
    /\ UNCHANGED <<database, kept, drawn, counts, process, log, newest, claims, questions>>

Rebuild ==  \* slackwater rebuild; the version before it may be in use until then
    /\ readModel.timeline # 0 /\ readModel.timeline # newest.timeline
    /\ Begins(newest.timeline, newest.since)
    /\ UNCHANGED <<database, kept, drawn, counts, process, log, newest, claims, questions>>

Folded(document, record) ==  \* what is not newer is dropped
    LET x == Aggregates[record.event]
    IN IF record.version <= Len(document[x]) THEN document
       ELSE [document EXCEPT ![x] = Append(@, record.event)]

Consume ==  \* timelines.admit; a missing version, and a newer timeline, halt it
    /\ readModel.next < Len(log) /\ newest # Unheard
    /\ LET record == log[readModel.next + 1]
           followed == IF readModel.timeline = 0 THEN newest.timeline ELSE readModel.timeline
           isOurs == record.timeline = followed \/ ~Has("consumers follow one timeline")
       IN  /\ isOurs \/ followed = newest.timeline  \* else it is void
           /\ isOurs => record.version <= Len(readModel.document[Aggregates[record.event]]) + 1
           /\ readModel' = [
                timeline |-> followed, next |-> readModel.next + 1,
                document |-> IF isOurs THEN Folded(readModel.document, record)
                             ELSE readModel.document]
    /\ UNCHANGED <<database, kept, drawn, counts, process, log, newest, claims, questions>>

-----------------------------------------------------------------------------
(* The gateway (freshness/source_track.py, board.py), and tokens            *)
(* (token.py).                                                              *)

IsOf(w, timeline) == w.timeline = timeline \/ ~Has("a claim counts in its own timeline")

Proves(w, asked) ==  \* source_track.add_probe, reached, has_parted; watermark.is_followed
    /\ After(w, asked) /\ IsOf(w, asked.timeline)
    /\ readModel.next >= w.end /\ (readModel.timeline # 0 => IsOf(w, readModel.timeline))

-----------------------------------------------------------------------------
Next ==
    \/ \E p \in Relays \union {Service} :
            \/ TakeEpoch(p) \/ ReadNewest(p) \/ ReadEnds(p) \/ Compare(p)
            \/ BeginTimeline(p) \/ ReadSince(p) \/ Announce(p)
    \/ Look \/ LookAgain
    \/ \E p \in Relays : \/ RaiseTick(p) \/ ReadBatch(p) \/ Publish(p) \/ Mark(p)
                         \/ ReadEnd(p) \/ Claim(p)
    \/ \E e \in Events : Commit(e)
    \/ Keep \/ Restore \/ KeepLog \/ LoseLog
    \/ Assigned \/ Rebuild \/ Consume

Spec == Init /\ [][Next]_vars
Symmetry == Permutations(Relays)

Shows(e) == Contains(readModel.document[Aggregates[e]], e)
Sound == \A w \in claims, asked \in questions : Proves(w, asked) => Shows(asked.event)

\* What a database says that the log had acknowledged, it has itself: so have its backups.
AcknowledgedIsOurs ==
    \A state \in {database} \union {backup[i] : i \in DOMAIN backup} :
        \A i \in 1..Least(state.acknowledged, Len(log)) :
            log[i].timeline = state.timeline => Contains(state.rows, log[i].event)

\* What a consumer passes over as late is of an earlier timeline than its own.
NoneTakenForLate ==
    \A i \in 1..Least(readModel.next, Len(log)) : log[i].timeline <= readModel.timeline

\* Nobody who dies or comes late parts what was never put back.
PartsNothingInVain == restores = 0 /\ losses = 0 => drawn <= 1
=============================================================================
