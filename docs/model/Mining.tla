------------------------------- MODULE Mining -------------------------------
(***************************************************************************)
(* A miner reads the commits of a source in the order of its write-ahead   *)
(* log, in place of a relay that polls an outbox.  That order is not the   *)
(* order of visibility: a commit is written first and becomes visible some *)
(* time later, and of two the later one may be visible first.  So whoever  *)
(* passes a tick in the log claims the tick before it in the log, epoch    *)
(* and count, and the change that takes an epoch is a commit of its own.   *)
(*                                                                         *)
(* slackwater/mining does so.  Left out are the rows that a miner          *)
(* publishes from their table before it mines, and their marks.  A read    *)
(* model is left out, too: whatever lies in the log before a watermark's   *)
(* end is shown, all else may be missing.                                  *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
    Events, Miners,
    EpochMax, TickMax, AppendsMax,
    ReadsAhead,  \* whether a miner goes on with what it has read when it owns the slot no more
    Without  \* the safeguards that are left out

Safeguards == {
    "the tick before it in the log", "own epoch is not claimed", "ends are read anew",
    "the slot before the ends", "confirmed after acknowledgement"}
ASSUME Without \subseteq Safeguards
Has(safeguard) == safeguard \notin Without

Zero == [epoch |-> 0, n |-> 0]
After(t, u) == t.epoch > u.epoch \/ (t.epoch = u.epoch /\ t.n > u.n)
Most(m, n) == IF m > n THEN m ELSE n

VARIABLES
    wal,                \* commits as they are written: events, and changes of the tick's row
    visible, tick,      \* what a snapshot shows
    slot,               \* the replication slot: who owns it, and what it need not give again
    miner,
    log, watermarks,
    reader
vars == <<wal, visible, tick, slot, miner, log, watermarks, reader>>

Rests == [
    leads |-> "no", epoch |-> 0, writes |-> FALSE,     \* the leader's own commits of the tick
    next |-> 0, event |-> 0, confirms |-> FALSE,       \* what it mines
    passed |-> Zero, ends |-> 0]

Init ==
    /\ wal = <<>> /\ visible = {} /\ tick = Zero
    /\ slot = [owner |-> "nobody", confirmed |-> 0]
    /\ miner = [m \in Miners |-> Rests]
    /\ log = <<>> /\ watermarks = {}
    /\ reader = [pc |-> "idle", event |-> 0, asked |-> Zero]

\* A watermark of no later tick than the source's proves nothing to whoever asks later.
Useful(all, now) ==
    {w \in all : After(w.tick, IF reader.pc = "answered" THEN reader.asked ELSE now)}

IsWritten(e) == \E i \in DOMAIN wal : wal[i].event = e

-----------------------------------------------------------------------------
Write(e) ==  \* the commit record of a transaction
    /\ ~IsWritten(e)
    /\ wal' = Append(wal, [event |-> e, tick |-> Zero])
    /\ UNCHANGED <<visible, tick, slot, miner, log, watermarks, reader>>

BecomeVisible(e) ==
    /\ IsWritten(e) /\ e \notin visible
    /\ visible' = visible \union {e}
    /\ UNCHANGED <<wal, tick, slot, miner, log, watermarks, reader>>

\* A change of the tick's row is locked until it is visible; the next one waits for it.
Written == IF \E i \in DOMAIN wal : wal[i].event = 0
           THEN LET last == CHOOSE i \in DOMAIN wal :
                                wal[i].event = 0 /\ \A j \in DOMAIN wal : wal[j].event = 0 => j <= i
                IN wal[last].tick
           ELSE Zero
IsLocked == Written # tick

-----------------------------------------------------------------------------
OwnEnds(end) == IF Has("ends are read anew") THEN 0 ELSE end  \* a vector of its own

TakeSlot(m) ==  \* the former owner cannot confirm any more, and knows nothing of it
    /\ miner[m].leads \in {"no", "leads"} /\ slot.owner # m
    /\ slot' = [slot EXCEPT !.owner = m]
    /\ miner' = [miner EXCEPT ![m] = [Rests EXCEPT
            !.leads = "owns the slot", !.next = slot.confirmed,
            !.ends = IF Has("the slot before the ends") THEN OwnEnds(Len(log)) ELSE miner[m].ends]]
    /\ UNCHANGED <<wal, visible, tick, log, watermarks, reader>>

ReadEndsTooEarly(m) ==
    /\ ~Has("the slot before the ends") /\ miner[m].leads = "no" /\ slot.owner # m
    /\ miner' = [miner EXCEPT ![m].ends = OwnEnds(Len(log))]
    /\ UNCHANGED <<wal, visible, tick, slot, log, watermarks, reader>>

TakeEpoch(m) ==
    /\ miner[m].leads = "owns the slot" /\ ~IsLocked /\ Written.epoch < EpochMax
    /\ wal' = Append(wal, [event |-> 0, tick |-> [Written EXCEPT !.epoch = @ + 1]])
    /\ miner' = [miner EXCEPT ![m].leads = "leads", ![m].epoch = Written.epoch + 1]
    /\ UNCHANGED <<visible, tick, slot, log, watermarks, reader>>

RaiseTick(m) ==
    /\ miner[m].leads = "leads" /\ ~IsLocked /\ Written.n < TickMax
    /\ IF miner[m].epoch = Written.epoch
       THEN /\ wal' = Append(wal, [event |-> 0, tick |-> [Written EXCEPT !.n = @ + 1]])
            /\ UNCHANGED miner
       ELSE miner' = [miner EXCEPT ![m] = Rests] /\ UNCHANGED wal
    /\ UNCHANGED <<visible, tick, slot, log, watermarks, reader>>

TickBecomesVisible ==
    /\ IsLocked
    /\ tick' = Written
    /\ watermarks' = Useful(watermarks, tick')
    /\ UNCHANGED <<wal, visible, slot, miner, log, reader>>

-----------------------------------------------------------------------------
Claims(record, passed) ==  \* what passing a change of the tick proves
    CASE ~Has("own epoch is not claimed") /\ passed.epoch # record.tick.epoch -> record.tick
      [] ~Has("the tick before it in the log") -> record.tick
      [] OTHER -> passed

Confirmed(m, upTo) ==
    IF slot.owner = m THEN [slot EXCEPT !.confirmed = Most(@, upTo)] ELSE slot

Mine(m) ==
    /\ miner[m].leads # "no" /\ miner[m].event = 0 /\ ~miner[m].confirms
    /\ miner[m].next < Len(wal) /\ (slot.owner = m \/ ReadsAhead)
    /\ LET record == wal[miner[m].next + 1] IN
        IF record.event # 0
        THEN /\ miner' = [miner EXCEPT ![m].event = record.event, ![m].next = @ + 1]
             /\ slot' = IF Has("confirmed after acknowledgement") THEN slot
                        ELSE Confirmed(m, miner[m].next + 1)
             /\ UNCHANGED watermarks
        ELSE \* a tick: all before it in the log is acknowledged by now
             /\ watermarks' = Useful(watermarks \union {[
                    tick |-> Claims(record, miner[m].passed),
                    end |-> IF Has("ends are read anew") THEN Len(log) ELSE miner[m].ends]}, tick)
             /\ miner' = [miner EXCEPT ![m].passed = record.tick, ![m].next = @ + 1]
             /\ slot' = Confirmed(m, miner[m].next + 1)  \* if later, its successor meets it again
    /\ UNCHANGED <<wal, visible, tick, log, reader>>

Publish(m) ==  \* and acknowledged
    /\ miner[m].event # 0 /\ Len(log) < AppendsMax
    /\ log' = Append(log, miner[m].event)
    /\ miner' = [miner EXCEPT ![m].event = 0, ![m].confirms = TRUE,
                              ![m].ends = OwnEnds(Most(@, Len(log')))]
    /\ UNCHANGED <<wal, visible, tick, slot, watermarks, reader>>

Confirm(m) ==
    /\ miner[m].confirms
    /\ slot' = Confirmed(m, miner[m].next)
    /\ miner' = [miner EXCEPT ![m].confirms = FALSE]
    /\ UNCHANGED <<wal, visible, tick, log, watermarks, reader>>

-----------------------------------------------------------------------------
Ask(e) ==  \* one event stands for all that were visible at that instant
    /\ reader.pc = "idle" /\ e \in visible
    /\ reader' = [reader EXCEPT !.pc = "asked", !.event = e]
    /\ UNCHANGED <<wal, visible, tick, slot, miner, log, watermarks>>

Answer ==
    /\ reader.pc = "asked"
    /\ reader' = [reader EXCEPT !.pc = "answered", !.asked = tick]
    /\ UNCHANGED <<wal, visible, tick, slot, miner, log, watermarks>>

Next ==
    \/ \E e \in Events : Write(e) \/ BecomeVisible(e)
    \/ TickBecomesVisible
    \/ \E m \in Miners : \/ TakeSlot(m) \/ ReadEndsTooEarly(m) \/ TakeEpoch(m) \/ RaiseTick(m)
                         \/ Mine(m) \/ Publish(m) \/ Confirm(m)
    \/ \E e \in Events : Ask(e)
    \/ Answer

Spec == Init /\ [][Next]_vars
Symmetry == Permutations(Miners)

Before(end) == {log[i] : i \in 1..end}
Sound ==
    reader.pc = "answered" =>
        \A w \in watermarks : After(w.tick, reader.asked) => reader.event \in Before(w.end)
ConfirmedIsPublished ==
    \A i \in 1..slot.confirmed : wal[i].event # 0 => wal[i].event \in Before(Len(log))
=============================================================================
