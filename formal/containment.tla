----------------------------- MODULE containment -----------------------------
(* Containment as desired state (decision 26): two things, the certificates that they share or not, the records of  *)
(* both in the ledger, and the calls of the handlers to AWS IoT and the ledger, one by one. Beside each action is   *)
(* the function that it stands for. A handler may be gone between any two of its steps; what it left undone comes   *)
(* again after the visibility time of its queue. A list of AWS IoT shows what is, or anything that has been since   *)
(* eight minutes went by in peace, one time this and another time that. A call that takes something away may have   *)
(* its effect later than others that were made after it.                                                            *)
(*                                                                                                                  *)
(* Policies are "own", the rights of a device, and "ours", the restricted policy. Left out: groups (only the        *)
(* thing's own responder changes them), policies that are deleted, more than nine policies, a second case on one    *)
(* containment, campaigns, and what rotation.tla walks through: keys, lost and doubled requests, certificates made  *)
(* twice. Two lists that are read one right after the other are one step: each may show what was, so that nothing   *)
(* is lost. Nobody takes a new certificate from its thing here, so no rotation ends as stranded.                    *)
EXTENDS Naturals, FiniteSets

CONSTANTS Shared,      \* whether both things use certificate 1; otherwise thing t uses certificate t
          Findings,    \* how many findings contain a thing
          Releases,    \* how many releases an operator makes
          Rotating,    \* the things whose certificate is rotated, once each
          Confirmed,   \* those that have confirmed a renewal before anything else happens
          Renewals,    \* whether a rotation may also be a renewal, and not only part of a release
          Changes,     \* how often people undo a containment or attach another certificate
          \* the four mechanisms; without one of them, TLC must find a violation
          Fence,       \* the record is read again right before each call that takes something away
          Recheck,     \* it is read once more at the end
          Unconditional, \* while the last change is young, calls are made whatever a list shows
          Look,        \* a contained thing is compared with AWS IoT again later
          Defect       \* "none", or what else is done wrong, most of it found here first: TLC must find it

VARIABLES pol, act, on,      \* AWS IoT: the policies of each certificate, its status, and the things that it is on
          wasPol, wasOn,     \* what lists may still show instead
          rec, cont, rot,    \* the ledger: CERTIFICATE#/DESIRED, THING#/CONTAINMENT, THING#/ROTATION
          h,                 \* the handlers: a responder for each thing (its queue group), and one for its requests
          found, released, changed, \* how much has come from outside
          seen,              \* whether a long pause has followed the last change by people
          saw,               \* of each handler at work, the certificates whose record was changed since it began
          \* What the promises allow for:
          leftover,          \* certificates whose record was changed while a device's request carried it out: if that
                             \* handler is gone, its message comes too late, and the look finds what it did
          excused            \* certificates whose record was changed when a call for the record before was on its way
vars == <<pol, act, on, wasPol, wasOn, rec, cont, rot, h, found, released, changed, seen, leftover, excused, saw>>

T == {1, 2}
C == {1, 2, 3}
H == T \union {11, 12}                     \* 1 and 2 are `respond`, 11 and 12 `serve_device` of the same things
Thing(x) == IF x > 10 THEN x - 10 ELSE x
Old(t) == IF Shared THEN 1 ELSE t
New(t) == t + 1                            \* of a rotation; only where certificate 1 is shared
Least(S) == CHOOSE c \in S : \A e \in S : c <= e

NoRecord == [is |-> FALSE, holders |-> {}, before |-> FALSE, leaving |-> {}, touched |-> FALSE, young |-> FALSE]
NoLists == [c \in C |-> {}]
Nothing == [held |-> FALSE, young |-> FALSE, before |-> FALSE, touched |-> FALSE]
\* `cs` are certificates still to do, `c` the one at hand, `want` what was read of its record, `fresh` whether that is
\* still so, `lists` what lists showed, `given` whether the pass takes them from there, `take` whether it takes.
Idle == [pc |-> "idle", flow |-> "", cs |-> {}, all |-> {}, c |-> 0, want |-> Nothing, fresh |-> TRUE,
         lists |-> NoLists, given |-> FALSE, take |-> FALSE, contained |-> FALSE]
At(pc, flow) == [Idle EXCEPT !.pc = pc, !.flow = flow]

Init ==
  LET first == {Old(1), Old(2)}  news == {New(t) : t \in Confirmed} IN
  /\ pol = [c \in C |-> IF c \in first \union news THEN {"own"} ELSE {}]
  /\ act = [c \in C |-> IF c \in first \union news THEN "active" ELSE "none"]
  /\ on = [c \in C |-> {t \in T : Old(t) = c \/ (t \in Confirmed /\ New(t) = c)}]
  /\ wasPol = [c \in C |-> {}] /\ wasOn = [c \in C |-> {}]
  /\ rec = [c \in C |-> IF c \in news THEN [NoRecord EXCEPT !.is = TRUE, !.before = TRUE] ELSE NoRecord]
  /\ cont = [t \in T |-> [state |-> "none", certs |-> {}, look |-> "none"]]
  /\ rot = [t \in T |-> IF t \in Confirmed THEN [state |-> "confirmed", of |-> "renewal"]
                                              ELSE [state |-> "none", of |-> "none"]]
  /\ h = [x \in H |-> Idle]
  /\ found = 0 /\ released = 0 /\ changed = 0 /\ seen = TRUE
  /\ saw = [x \in H |-> {}] /\ leftover = {} /\ excused = {}

aws == <<pol, act, on, wasPol, wasOn>>
ledger == <<rec, cont, rot>>
outside == <<found, released, changed, seen>>

\* --- AWS IoT --------------------------------------------------------------------------------------------------
Exists(c) == act[c] \in {"active", "inactive"}
Policies(c) == {pol[c]} \union wasPol[c]               \* what ListAttachedPolicies may show
Things(c) == {on[c]} \union wasOn[c]                   \* what ListPrincipalThings may show
\* What ListThingPrincipals may show. A certificate that was deleted may still be listed; reading it fails.
Certificates(t) == {S \in SUBSET C : \A c \in C : \E shown \in Things(c) : (c \in S) = (t \in shown)}
SetPolicies(c, S) == /\ pol' = [pol EXCEPT ![c] = S]
                     /\ wasPol' = IF S = pol[c] THEN wasPol ELSE [wasPol EXCEPT ![c] = @ \union {pol[c]}]
SetThings(c, S) == /\ on' = [on EXCEPT ![c] = S]
                   /\ wasOn' = IF S = on[c] THEN wasOn ELSE [wasOn EXCEPT ![c] = @ \union {on[c]}]

\* --- the ledger -----------------------------------------------------------------------------------------------
Active(t) == cont[t].state \in {"containing", "contained", "releasing"}       \* snapshot.Containment.is_active
Held(c) == rec[c].holders /= {}
Carrying == {"wanting", "commit", "lists", "give", "fence", "take", "recheck"}
\* A commit of the records of S: who carries one of them out has read one that is no longer so.
AtWork(pc) == pc \notin {"idle", "wait"}
Overtaken(S) == [x \in H |-> IF h[x].pc \in Carrying /\ h[x].c \in S THEN [h[x] EXCEPT !.fresh = FALSE] ELSE h[x]]
OnItsWay(S) == {c \in S : \E x \in H : h[x].pc = "take" /\ h[x].c = c}
HalfMade(S) == {c \in S : \E x \in {11, 12} : h[x].pc \in Carrying /\ h[x].c = c}
Becomes(x, S, next) ==
  /\ h' = [Overtaken(S) EXCEPT ![x] = next]
  /\ saw' = [y \in H |-> IF AtWork(h'[y].pc) THEN saw[y] \union S ELSE {}]
  /\ excused' = excused \union OnItsWay(S) /\ leftover' = leftover \union HalfMade(S)
Goes(x, next) ==
  /\ h' = [h EXCEPT ![x] = next]
  /\ saw' = IF AtWork(next.pc) THEN saw ELSE [saw EXCEPT ![x] = {}]
  /\ UNCHANGED <<excused, leftover>>
Stays == UNCHANGED <<h, saw, excused, leftover>>

Changed(old, new) ==                                    \* desired.Desired.changed
  IF old.is /\ new = old THEN old ELSE [new EXCEPT !.is = TRUE, !.young = TRUE]
IsYoung(r) == r.young \/ ~r.is                          \* a record that is not written yet is changed now
HasLeft(t, c) == t \in rec[c].leaving /\ rec[c].young   \* desired.Desired.has_left
HeldBy(t, r, shown) ==                                  \* desired.Desired.held_by
  Changed(r, [r EXCEPT !.holders = @ \union {t}, !.leaving = @ \ {t}, !.touched = TRUE,
                       !.before = IF IsYoung(r) \/ r.holders = {} THEN @ \/ "own" \in shown ELSE @])
Without(t, r, leaves) ==                                \* desired.Desired.without; who leaves again leaves now
  LET new == [r EXCEPT !.holders = @ \ {t},
                       !.leaving = (IF IsYoung(r) THEN @ ELSE {}) \union (IF leaves THEN {t} ELSE {})]
  IN IF leaves /\ Defect /= "left-before" THEN [new EXCEPT !.is = TRUE, !.young = TRUE] ELSE Changed(r, new)

\* --- desired.reconcile: one certificate after the other -----------------------------------------------------------
\* `given` are lists that the flow has read just now; after a change meanwhile they are read again.
Reconcile(me, cs, given) == [me EXCEPT !.pc = "read", !.cs = cs, !.c = Least(cs), !.given = given]
Planned(me, want, shown) ==                             \* desired._Pass._restrict, desired._Pass._give_back
  LET young == want.young /\ Unconditional
      take == IF want.held THEN "own" \in shown \/ (young /\ want.before)
                           ELSE "ours" \in shown \/ (young /\ want.touched)
      surely == young \/ (take /\ Defect /= "takes-first")
      give == IF want.held THEN surely \/ "ours" \notin shown ELSE want.before /\ (surely \/ "own" \notin shown)
  IN [me EXCEPT !.want = [Nothing EXCEPT !.held = want.held], !.take = take, !.lists[me.c] = {}, !.given = FALSE,
                !.pc = IF give THEN "give" ELSE IF take THEN "fence" ELSE "recheck"]
Giving(me) == IF me.want.held THEN "ours" ELSE "own"
Taking(me) == IF me.want.held THEN "own" ELSE "ours"

ReadRecord(x) ==                                        \* desired.reconcile: desired.desired_or_new
  LET me == h[x]  r == rec[me.c]
      want == [held |-> r.holders /= {}, young |-> IsYoung(r), before |-> r.before, touched |-> r.touched] IN
  /\ me.pc = "read"
  /\ Goes(x, IF me.given THEN Planned([me EXCEPT !.fresh = TRUE], want, me.lists[me.c])
             ELSE [me EXCEPT !.pc = "lists", !.want = want, !.fresh = TRUE])
  /\ UNCHANGED <<aws, ledger, outside>>
ReadList(x) ==                                          \* desired.reconcile: ListAttachedPolicies
  /\ h[x].pc = "lists"
  /\ \E shown \in Policies(h[x].c) : Goes(x, Planned(h[x], h[x].want, shown))
  /\ UNCHANGED <<aws, ledger, outside>>
Contains == {"contain", "contain again", "look", "look again"}
AfterAll(flow) == CASE flow \in Contains -> "check"
                    [] flow = "release" -> "restored"
                    [] flow = "relook" -> "looked"
                    [] flow = "retire" -> "finish"
                    [] flow = "make" -> "verify"
Done(me) == LET rest == me.cs \ {me.c} IN
            IF rest /= {} THEN [me EXCEPT !.pc = "read", !.cs = rest, !.c = Least(rest), !.take = FALSE,
                                          !.want = Nothing, !.given = me.flow \in Contains]
            ELSE [me EXCEPT !.pc = AfterAll(me.flow), !.cs = {}, !.c = 0, !.take = FALSE, !.want = Nothing]
Give(x) ==                                              \* desired._Pass._attach: AttachPolicy
  LET me == h[x] IN
  /\ me.pc = "give"
  /\ IF Exists(me.c)
     THEN SetPolicies(me.c, pol[me.c] \union {Giving(me)})
          /\ Goes(x, [me EXCEPT !.pc = IF me.take THEN "fence" ELSE "recheck"])
     ELSE Goes(x, IF x > 10 THEN Idle ELSE Done(me)) /\ UNCHANGED <<pol, wasPol>>   \* a certificate that is gone
  /\ UNCHANGED <<act, on, wasOn, ledger, outside>>
Again(me) == [me EXCEPT !.pc = "read", !.want = Nothing, !.take = FALSE, !.given = FALSE, !.fresh = TRUE]
FenceStep(x) ==                                         \* desired._Pass._detach: desired._fence
  /\ h[x].pc = "fence"
  /\ Goes(x, IF h[x].fresh \/ ~Fence THEN [h[x] EXCEPT !.pc = "take"] ELSE Again(h[x]))
  /\ UNCHANGED <<aws, ledger, outside>>
Take(x) ==                                              \* desired._Pass._detach: DetachPolicy, which may come late
  LET me == h[x] IN
  /\ me.pc = "take"
  /\ IF Exists(me.c) THEN SetPolicies(me.c, pol[me.c] \ {Taking(me)}) ELSE UNCHANGED <<pol, wasPol>>
  /\ Goes(x, [me EXCEPT !.pc = "recheck"])
  /\ UNCHANGED <<act, on, wasOn, ledger, outside>>
AsRecorded(c) == pol[c] = IF Held(c) THEN {"ours"} ELSE IF rec[c].before THEN {"own"} ELSE pol[c]
RecheckStep(x) ==                                       \* desired.reconcile: desired._fence after the last call
  LET me == h[x] IN
  /\ me.pc = "recheck"
  /\ IF me.fresh \/ ~Recheck
     THEN /\ h' = [h EXCEPT ![x] = Done(me)] /\ UNCHANGED saw
          /\ LET sure == AsRecorded(me.c) /\ ~\E y \in H \ {x} : h[y].c = me.c /\ ~h[y].fresh IN
             /\ excused' = IF sure THEN excused \ {me.c} ELSE excused
             /\ leftover' = IF sure THEN leftover \ {me.c} ELSE leftover
     ELSE Goes(x, Again(me))
  /\ UNCHANGED <<aws, ledger, outside>>

\* --- quarantine.quarantine --------------------------------------------------------------------------------------
Free(t) == h[t].pc = "idle"
\* quarantine._hold: the containment, and in the same commit a renewal that is under way is taken back
\* (rotation.taking_back).
Hold(t) ==
  /\ Free(t) /\ found < Findings /\ found' = found + 1
  /\ cont[t].state \in {"none", "released", "releasing"}
  /\ cont' = [cont EXCEPT ![t] = [state |-> "containing", look |-> "set",
                                  certs |-> IF cont[t].state = "releasing" THEN cont[t].certs ELSE {}]]
  /\ rot' = IF rot[t].state \in {"requested", "issued"} /\ rot[t].of = "renewal"
            THEN [rot EXCEPT ![t].state = "rolling"] ELSE rot
  /\ Goes(t, At("read all", "contain"))
  /\ UNCHANGED <<aws, rec, released, changed, seen>>
Continue(t) ==                                          \* again, or followups._containment_due: decisions.resume
  /\ Free(t) /\ cont[t].state = "containing" /\ Defect /= "not-continued"
  /\ Goes(t, At("read all", "contain"))
  /\ UNCHANGED <<aws, ledger, outside>>
\* quarantine._read_quickly, quarantine._read_everything, desired.without_left: what lists show, and what the
\* rotation has on record.
Made(t) == IF rot[t].state \in {"issued", "confirmed", "rolling"} /\ Exists(New(t)) THEN {New(t)} ELSE {}
Shown(c, its) == IF c \in its THEN Policies(c) ELSE {{}}
ReadAll(t) ==
  LET me == h[t]  made == IF me.flow = "contain" THEN Made(t) ELSE {} IN
  /\ me.pc = "read all"
  /\ \E listed \in Certificates(t) :
       LET its == {c \in listed \union made : ~HasLeft(t, c)} IN
       \E one \in Shown(1, its), two \in Shown(2, its), three \in Shown(3, its) :
         LET lists == <<one, two, three>> IN
         Goes(t, IF /\ me.flow = "look" /\ \A c \in its : lists[c] = {"ours"}          \* quarantine._has_rights
                    /\ (\A c \in its : c \in cont[t].certs \/ t \in rec[c].holders) \/ Defect = "not-held"
                 THEN At("looked", "look")
                 ELSE IF its = {} THEN At("wait", "")
                 ELSE [me EXCEPT !.pc = "remember", !.all = its, !.lists = lists])
  /\ UNCHANGED <<aws, ledger, outside>>
Remember(t) ==                                          \* quarantine._remember: one commit, then reconcile
  LET me == h[t]
      now == [c \in C |-> IF c \in me.all THEN HeldBy(t, rec[c], me.lists[c]) ELSE rec[c]] IN
  /\ me.pc = "remember"
  /\ rec' = now
  /\ cont' = [cont EXCEPT ![t].certs = @ \union me.all]
  /\ Becomes(t, {c \in C : now[c] /= rec[c]}, Reconcile(me, me.all, TRUE))
  /\ UNCHANGED <<aws, rot, outside>>
\* quarantine._is_effective: GetEffectivePolicies shows ours alone, or everything is read again; then
\* quarantine._check, or NotYet.
CheckContained(t) ==
  LET me == h[t]  later == \E c \in me.all : Exists(c) /\ Policies(c) /= {{"ours"}} IN
  /\ me.pc = "check"
  /\ \/ /\ \A c \in me.all : {"ours"} \in Policies(c) \/ ~Exists(c)
        /\ Goes(t, At(IF me.flow \in {"look", "look again"} THEN "looked" ELSE "contained", me.flow))
     \/ later /\ me.flow = "contain" /\ Goes(t, At("read all", "contain again"))
     \/ later /\ me.flow = "look" /\ Goes(t, At("read all", "look again"))
     \/ later /\ me.flow \in {"contain again", "look again"} /\ Goes(t, At("wait", ""))
  /\ UNCHANGED <<aws, ledger, outside>>
Contained(t) ==                                         \* quarantine.quarantine: the last commit
  /\ h[t].pc = "contained"
  /\ cont' = [cont EXCEPT ![t].state = "contained", ![t].look = "set"]
  /\ Goes(t, Idle)
  /\ UNCHANGED <<aws, rec, rot, outside>>

\* --- looks.look_at_contained, looks.look_at_released --------------------------------------------------------------
LookBegins(t) ==
  /\ Look /\ Free(t) /\ cont[t].look = "due" /\ cont[t].state \in {"contained", "released"}
  /\ Goes(t, IF cont[t].state = "contained" THEN At("read all", "look")
             ELSE IF cont[t].certs = {} THEN At("looked", "relook")
             ELSE Reconcile(At("", "relook"), cont[t].certs, FALSE))
  /\ UNCHANGED <<aws, ledger, outside>>
Looked(t) ==                                            \* looks.put_off: again at the interval, once after a release
  /\ h[t].pc = "looked"
  /\ cont' = [cont EXCEPT ![t].look = IF Active(t) THEN "set" ELSE "none"]
  /\ Goes(t, Idle)
  /\ UNCHANGED <<aws, rec, rot, outside>>

\* --- release.release ----------------------------------------------------------------------------------------------
Recovering(t) == rot[t].of = "release" /\ rot[t].state /= "rolled back"   \* the case is, and waits for its rotation
Marked(t) == [c \in C |-> IF c \in cont[t].certs THEN Without(t, rec[c], FALSE) ELSE rec[c]]
MarkReleasing(t) ==                                     \* release._mark_releasing: one commit, then release._restore
  /\ rec' = Marked(t)
  /\ cont' = [cont EXCEPT ![t].state = "releasing", ![t].look = "set"]
  /\ Becomes(t, cont[t].certs, Reconcile([At("", "release") EXCEPT !.all = cont[t].certs], cont[t].certs, FALSE))
Release(t) ==                                           \* an operator: release --keep-certificate
  /\ Free(t) /\ released < Releases /\ cont[t].state = "contained" /\ ~Recovering(t)
  /\ released' = released + 1
  /\ MarkReleasing(t)
  /\ UNCHANGED <<aws, rot, found, changed, seen>>
ReleaseRotated(t) ==                                    \* decisions.recover, after the rotation has ended well
  /\ cont[t].state = "contained" /\ rot[t] = [state |-> "finished", of |-> "release"]
  /\ Free(t) \/ h[t].pc = "recover"
  /\ rot' = [rot EXCEPT ![t].of = "done"]
  /\ MarkReleasing(t)
  /\ UNCHANGED <<aws, outside>>
ContinueRelease(t) ==                                   \* again, or decisions.resume: it is marked already
  /\ Free(t) /\ cont[t].state = "releasing"
  /\ Goes(t, Reconcile([At("", "release") EXCEPT !.all = cont[t].certs], cont[t].certs, FALSE))
  /\ UNCHANGED <<aws, ledger, outside>>
\* release._check: each certificate that nobody holds shows what it was given, and ours no more, or NotYet.
CheckReleased(t) ==
  LET free == {c \in h[t].all : ~Held(c) /\ Exists(c)} IN
  /\ h[t].pc = "restored"
  /\ \/ /\ \A c \in free : \E shown \in Policies(c) : "ours" \notin shown /\ (rec[c].before => "own" \in shown)
        /\ Goes(t, At("released", "release"))
     \/ /\ \E c \in free : \E shown \in Policies(c) : "ours" \in shown \/ (rec[c].before /\ "own" \notin shown)
        /\ Goes(t, At("wait", ""))
  /\ UNCHANGED <<aws, ledger, outside>>
Released(t) ==                                          \* release.release: the last commit
  /\ h[t].pc = "released"
  /\ cont' = [cont EXCEPT ![t].state = "released", ![t].look = "set"]
  /\ Goes(t, Idle)
  /\ UNCHANGED <<aws, rec, rot, outside>>

\* --- the rotation, as far as it touches containment: devices.rotation ---------------------------------------------
Unsuspected(t) == rot[t].of = "release" \/ ~Active(t)   \* rotation.why_not_unattended
BeginRotation(t) ==                                     \* rotation.begin_rotation
  /\ Free(t) /\ t \in Rotating /\ rot[t].state = "none"
  /\ \/ /\ cont[t].state = "contained" /\ released < Releases /\ released' = released + 1
        /\ rot' = [rot EXCEPT ![t] = [state |-> "requested", of |-> "release"]]
     \/ /\ Renewals /\ ~Active(t) /\ UNCHANGED released
        /\ rot' = [rot EXCEPT ![t] = [state |-> "requested", of |-> "renewal"]]
  /\ Stays /\ UNCHANGED <<aws, rec, cont, found, changed, seen>>

\* rotation.issue_certificate: the device may ask again at any time. That what is made is recorded once is shown by
\* rotation.tla; here it is one step.
Create(x) ==
  LET t == Thing(x) IN
  /\ x > 10 /\ h[x].pc = "idle" /\ rot[t].state \in {"requested", "issued"} /\ Unsuspected(t)
  /\ t \in on[Old(t)] /\ act[Old(t)] = "active"         \* requests.require_own
  /\ rot' = [rot EXCEPT ![t].state = "issued"]
  /\ act' = IF rot[t].state = "requested" THEN [act EXCEPT ![New(t)] = "inactive"] ELSE act
  /\ Goes(x, At("attach", "make"))
  /\ UNCHANGED <<pol, on, wasPol, wasOn, rec, cont, outside>>
MakeAttach(x) ==                                        \* rotation._make_usable: AttachThingPrincipal
  LET c == New(Thing(x)) IN
  /\ h[x].pc = "attach"
  /\ IF Exists(c) THEN SetThings(c, on[c] \union {Thing(x)}) /\ Goes(x, At("want", "make"))
     ELSE Goes(x, Idle) /\ UNCHANGED <<on, wasOn>>
  /\ UNCHANGED <<pol, act, wasPol, ledger, outside>>
MakeWant(x) ==                                          \* rotation._want: first the new certificate's record
  /\ h[x].pc = "want"
  /\ Goes(x, [At("wanting", "make") EXCEPT !.c = New(Thing(x))])
  /\ UNCHANGED <<aws, ledger, outside>>
\* rotation._want, rotation._rights_for: the device must not have confirmed; the containment, and the rights of the old
\* certificate. A thing that is free does not get them while another thing keeps that certificate restricted.
MakeWanting(x) ==
  LET t == Thing(x)  old == rec[Old(t)]
      recorded == old.is /\ old.touched /\ (old.holders /= {} \/ old.young) IN
  /\ h[x].pc = "wanting"
  /\ \E has \in IF recorded THEN {IF old.before THEN {"own"} ELSE {}} ELSE Policies(Old(t)) :
       IF \/ rot[t].state /= "issued" /\ Defect /= "late-request"
          \/ ~Active(t) /\ ("ours" \in has \/ old.holders /= {})
       THEN Goes(x, Idle)
       ELSE Goes(x, [h[x] EXCEPT !.pc = "commit", !.contained = Active(t), !.want.before = "own" \in has])
  /\ UNCHANGED <<aws, ledger, outside>>
MakeCommit(x) ==                                        \* rotation._want: the commit of the new certificate's record
  LET t == Thing(x)  me == h[x]  r == rec[me.c]
      new == Changed(r, [r EXCEPT !.before = me.want.before, !.holders = IF me.contained THEN {t} ELSE {},
                                  !.touched = @ \/ me.contained]) IN
  /\ me.pc = "commit"
  /\ IF ~me.fresh THEN Goes(x, At("want", "make")) /\ UNCHANGED rec
     ELSE /\ rec' = [rec EXCEPT ![me.c] = new]
          /\ Becomes(x, IF new = r THEN {} ELSE {me.c}, [me EXCEPT !.pc = "shows", !.want = Nothing])
  /\ UNCHANGED <<aws, cont, rot, outside>>
MakeShows(x) ==                                         \* rotation._make_usable: what the new certificate has already
  LET me == h[x] IN
  /\ me.pc = "shows"
  /\ \E shown \in Policies(me.c) :
       Goes(x, Reconcile([me EXCEPT !.lists[me.c] = shown], {me.c}, TRUE))
  /\ UNCHANGED <<aws, ledger, outside>>
MakeVerify(x) ==                                        \* rotation._make_usable: the containment is read again
  LET me == h[x] IN
  /\ me.pc = "verify"
  /\ Goes(x, IF Active(Thing(x)) = me.contained THEN At("activate", "make") ELSE Idle)
  /\ UNCHANGED <<aws, ledger, outside>>
MakeActive(x) ==                                        \* rotation._make_usable: UpdateCertificate, then the answer
  LET c == New(Thing(x)) IN
  /\ h[x].pc = "activate"
  /\ act' = IF Exists(c) THEN [act EXCEPT ![c] = "active"] ELSE act
  /\ Goes(x, Idle)
  /\ UNCHANGED <<pol, on, wasPol, wasOn, ledger, outside>>
Confirm(t) ==                                           \* rotation.confirm: the device speaks over the new one
  /\ rot[t].state = "issued" /\ Unsuspected(t)
  /\ act[New(t)] = "active" /\ t \in on[New(t)] /\ pol[New(t)] /= {}
  /\ rot' = [rot EXCEPT ![t].state = "confirmed"]
  /\ Stays /\ UNCHANGED <<aws, rec, cont, outside>>

\* rotation.end_rotation: its job or its time is over (followups.job_ended, followups._job_due).
EndRotation(t) ==                                       \* rotation._settle_direction, rotation._is_usable
  /\ Free(t) /\ rot[t].state \in {"requested", "issued", "confirmed", "rolling"}
  /\ IF rot[t].state /= "confirmed"
     THEN /\ rot' = [rot EXCEPT ![t].state = "rolling"]
          /\ Goes(t, At(IF act[New(t)] = "none" THEN "rolled back" ELSE "deactivate new", "rollback"))
     ELSE /\ UNCHANGED rot
          /\ \/ \E shown \in Things(New(t)) : t \in shown /\ act[New(t)] = "active" /\ Goes(t, At("users", "retire"))
             \/ \E shown \in Things(New(t)) : t \notin shown /\ Goes(t, At("wait", ""))
  /\ UNCHANGED <<aws, rec, cont, outside>>
WithdrawStep(t) ==                                      \* rotation._withdraw, rotation.discard
  LET c == New(t)  pc == h[t].pc IN
  /\ pc \in {"deactivate new", "detach new", "delete new"}
  /\ CASE pc = "deactivate new" -> act' = [act EXCEPT ![c] = IF @ = "active" THEN "inactive" ELSE @]
                                   /\ Goes(t, At("detach new", "rollback")) /\ UNCHANGED <<pol, on, wasPol, wasOn>>
       [] pc = "detach new" -> SetThings(c, on[c] \ {t}) /\ Goes(t, At("delete new", "rollback"))
                               /\ UNCHANGED <<pol, act, wasPol>>
       [] pc = "delete new" ->
            IF act[c] = "active" \/ on[c] /= {}          \* refused: comes again
            THEN Goes(t, At("wait", "")) /\ UNCHANGED <<pol, act, on, wasPol, wasOn>>
            ELSE act' = [act EXCEPT ![c] = "gone"] /\ SetPolicies(c, {}) /\ UNCHANGED <<on, wasOn>>
                 /\ Goes(t, At("rolled back", "rollback"))
  /\ UNCHANGED <<ledger, outside>>
\* rotation._finish, rotation._passing_on: the records of the certificates that are gone lose the thing in the same
\* commit.
Finish(t, state, gone, stays, next) ==
  LET passes == Active(t)
      losing == IF passes THEN {c \in gone : t \in rec[c].holders} ELSE {} IN
  /\ rot' = [rot EXCEPT ![t].state = state]
  /\ rec' = [c \in C |-> IF c \in losing THEN Without(t, rec[c], TRUE) ELSE rec[c]]
  /\ cont' = IF passes THEN [cont EXCEPT ![t].certs = (@ \ gone) \union stays] ELSE cont
  /\ Becomes(t, losing, next)
  /\ UNCHANGED <<aws, outside>>
RolledBack(t) == h[t].pc = "rolled back" /\ Finish(t, "rolled back", {New(t)}, {}, Idle)
OtherUsers(t, shown) == {u \in shown \ {t} : ~HasLeft(u, Old(t))}            \* rotation.other_users_of
Users(t) ==                                             \* rotation._retire: before and after desired.leave
  /\ h[t].pc \in {"users", "users again"}
  /\ \E shown \in Things(Old(t)) :
       Goes(t, IF OtherUsers(t, shown) = {} THEN At("deactivate", "retire")
               ELSE IF h[t].pc = "users" THEN At("leave", "retire")
               ELSE At("detach only", "retire"))
  /\ UNCHANGED <<aws, ledger, outside>>
Leave(t) ==                                             \* desired.leave
  LET c == Old(t) IN
  /\ h[t].pc = "leave"
  /\ rec' = [rec EXCEPT ![c] = Without(t, rec[c], TRUE)]
  /\ Becomes(t, {c}, At("users again", "retire"))
  /\ UNCHANGED <<aws, cont, rot, outside>>
RetireStep(t) ==                                        \* rotation._retire: out of use, or off this thing alone
  LET c == Old(t)  pc == h[t].pc IN
  /\ pc \in {"deactivate", "detach", "detach only"}
  /\ IF pc = "deactivate"
     THEN act' = [act EXCEPT ![c] = "inactive"] /\ Goes(t, At("detach", "retire")) /\ UNCHANGED <<on, wasOn>>
     ELSE /\ SetThings(c, on[c] \ {t}) /\ UNCHANGED act
          /\ Goes(t, IF pc = "detach" THEN At("finish", "retire") ELSE Reconcile(At("", "retire"), {c}, FALSE))
  /\ UNCHANGED <<pol, wasPol, ledger, outside>>
FinishRotation(t) ==
  /\ h[t].pc = "finish"
  /\ Finish(t, "finished", {Old(t)}, {New(t)}, IF rot[t].of = "release" THEN At("recover", "release") ELSE Idle)

\* --- handlers that are gone, people, and time --------------------------------------------------------------------
Gone(x) ==                                              \* its message comes again after the queue's visibility time
  /\ h[x].pc \notin {"idle", "wait"}
  /\ Goes(x, IF x > 10 THEN Idle ELSE At("wait", ""))
  /\ UNCHANGED <<aws, ledger, outside>>
People ==                                               \* somebody undoes a restriction, or attaches a certificate
  /\ changed < Changes /\ changed' = changed + 1 /\ seen' = FALSE
  /\ \/ \E c \in C : /\ act[c] = "active" /\ Held(c) /\ UNCHANGED <<on, wasOn>>
                    /\ \/ SetPolicies(c, pol[c] \union {"own"})
                       \/ "own" \in pol[c] /\ (\A x \in H : h[x].pc \in {"idle", "wait"}) /\ SetPolicies(c, {"own"})
     \/ \E t \in T, c \in {Old(1), Old(2)} :
          /\ act[c] = "active" /\ t \notin on[c] /\ cont[t].state = "contained"
          /\ SetThings(c, on[c] \union {t}) /\ UNCHANGED <<pol, wasPol>>
  /\ Stays /\ UNCHANGED <<act, ledger, found, released>>
\* Eight minutes (SecondDisconnectSeconds) in which nobody is at work: every list shows what is, no record is young,
\* what is to be looked at is due, and what failed comes again (a queue's visibility time is twelve minutes).
Pause ==
  /\ \A x \in H : ~AtWork(h[x].pc)
  /\ wasPol' = [c \in C |-> {}] /\ wasOn' = [c \in C |-> {}]
  /\ rec' = [c \in C |-> [rec[c] EXCEPT !.young = FALSE]]
  /\ cont' = [t \in T |-> [cont[t] EXCEPT !.look = IF @ = "set" THEN "due" ELSE @]]
  /\ h' = [x \in H |-> Idle]
  /\ seen' = TRUE
  /\ UNCHANGED <<pol, act, on, rot, found, released, changed, saw, excused, leftover>>
\* The last of the eight minutes of one record, while others are at work, who all began after its change: an
\* invocation lives for two at most. What these have written goes one way, so it does not matter if lists show it.
Ages(c) ==
  /\ rec[c].young /\ (\A x \in H : c \notin saw[x]) /\ (\E x \in H : AtWork(h[x].pc))
  /\ rec' = [rec EXCEPT ![c].young = FALSE]
  /\ wasPol' = [wasPol EXCEPT ![c] = {}] /\ wasOn' = [wasOn EXCEPT ![c] = {}]
  /\ Stays /\ UNCHANGED <<pol, act, on, cont, rot, outside>>

Steps(x) == ReadRecord(x) \/ ReadList(x) \/ Give(x) \/ FenceStep(x) \/ Take(x) \/ RecheckStep(x)
Responds(t) ==
  \/ Steps(t) \/ Continue(t) \/ ReadAll(t) \/ Remember(t) \/ CheckContained(t) \/ Contained(t)
  \/ LookBegins(t) \/ Looked(t) \/ ReleaseRotated(t) \/ ContinueRelease(t) \/ CheckReleased(t) \/ Released(t)
  \/ WithdrawStep(t) \/ RolledBack(t) \/ Users(t) \/ Leave(t) \/ RetireStep(t) \/ FinishRotation(t)
Serves(x) == x > 10 /\ (Steps(x) \/ MakeAttach(x) \/ MakeWant(x) \/ MakeWanting(x) \/ MakeCommit(x)
                        \/ MakeShows(x) \/ MakeVerify(x) \/ MakeActive(x))
Next == \/ \E t \in T : Responds(t) \/ Hold(t) \/ Release(t) \/ BeginRotation(t) \/ EndRotation(t) \/ Confirm(t)
        \/ \E x \in {11, 12} : Serves(x) \/ Create(x)
        \/ \E x \in H : Gone(x)
        \/ \E c \in C : Ages(c)
        \/ People \/ Pause
\* Fairness: handlers go on, rotations end in time, and time passes. Nothing is asked of devices and operators.
Spec == /\ Init /\ [][Next]_vars /\ SF_vars(Pause)
        /\ \A t \in T : WF_vars(Responds(t)) /\ SF_vars(EndRotation(t)) /\ SF_vars(ReleaseRotated(t))
        /\ \A x \in H : WF_vars(Serves(x))

\* --- the promises -------------------------------------------------------------------------------------------------
Uses(t) == IF rot[t].state \in {"confirmed", "finished"} THEN New(t) ELSE Old(t)   \* the key that a device surely has
NeverWithout ==   \* nobody's only good certificate goes
  \A t \in T : LET c == Uses(t) IN t \in on[c] /\ act[c] = "active" /\ (pol[c] /= {} \/ c \in excused)
\* What was restricted stays so (the restricted policy denies, whatever else is attached), but for a call that was on
\* its way when the record was written.
StaysRestricted ==
  \A t \in T, c \in C : (cont[t].state = "contained" /\ h[t].pc = "idle" /\ cont[t].look /= "due"
                         /\ t \in rec[c].holders /\ t \in on[c] /\ act[c] = "active" /\ changed = 0)
                        => ("ours" \in pol[c] \/ c \in excused)
LooksDue == Look /\ \E t \in T : cont[t].look = "due"    \* among them one whose handler was gone
Over == \A t \in T : /\ h[t].pc = "idle" /\ h[t + 10].pc = "idle"
                     /\ cont[t].state \notin {"containing", "releasing"}
                     /\ rot[t].state \notin {"confirmed", "rolling"}
                     /\ rot[t] /= [state |-> "finished", of |-> "release"]
\* When the handlers have done what they had to do, and before anybody looks again, AWS IoT is as the records say.
SaidIsSo ==
  (Over /\ ~LooksDue /\ changed = 0) =>
    \A c \in C \ leftover : (act[c] = "active" /\ rec[c].is) =>
      IF Held(c) THEN pol[c] = {"ours"} ELSE (rec[c].touched \/ rec[c].before) => pol[c] = {"own"}
\* When everything due was looked at and nothing is young any more: contained things have no other rights, free ones
\* their own, and no certificate of nobody's is active.
Settled == Over /\ seen /\ ~LooksDue /\ \A c \in C : wasPol[c] = {} /\ wasOn[c] = {}
AtRest ==
  Settled => \A c \in C : act[c] = "active" =>
    /\ on[c] /= {}
    /\ pol[c] = IF \E t \in on[c] : Active(t) THEN {"ours"} ELSE {"own"}
    /\ \A t \in on[c] : Active(t) => t \in rec[c].holders
    /\ \A t \in rec[c].holders : Active(t)
\* Everything comes to rest, again and again, unless handlers are gone for ever and ever.
Ends == []<><<\E x \in H : Gone(x)>>_vars \/ []<>Over
==============================================================================
