------------------------------ MODULE rotation ------------------------------
(* The hand-over of a rotation: one thing, from the job to the end. The same model as tests/model/handover.py, *)
(* where every part is explained; both have the same number of states (tools/check-model compares them).       *)
(* Each step is one call to AWS IoT or one commit to the ledger. A handler may be gone between any two of its  *)
(* steps and its message comes again; messages may be lost, doubled and late; a key may be lost until it was   *)
(* confirmed with. Here it is checked as well that, under fairness, every rotation comes to its end.           *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS Keys,       \* how many keys the device makes at most
          MostMade,   \* how many certificates AWS IoT makes at most (this alone bounds the model)
          Defect      \* "none", or what is done wrong: TLC must then find a violation

VARIABLES job, record, certs, known, asked, answered, confirming, acknowledged, device, create, ending
vars == <<job, record, certs, known, asked, answered, confirming, acknowledged, device, create, ending>>

Old == 1              \* the place of the old certificate in `certs`; 0 says that there is none
None == [at |-> "none", key |-> 0, fresh |-> TRUE, made |-> 0, since |-> 0, todo |-> <<>>]
Idle == [at |-> "none", todo |-> <<>>]
Over == {"finished", "rolled-back"}
Usable(c) == certs[c].active /\ certs[c].attached /\ certs[c].granted
Settled == record.state \in Over /\ create = None /\ ending = Idle

Init ==
  /\ job = "queued"
  /\ record = [state |-> "requested", new |-> 0, key |-> 0, since |-> 0, spent |-> <<>>, issued |-> 0]
  /\ certs = <<[key |-> 0, active |-> TRUE, attached |-> TRUE, granted |-> TRUE, gone |-> FALSE]>>
  /\ known = {} /\ asked = 0 /\ answered = {} /\ confirming = {} /\ acknowledged = {}
  /\ device = [key |-> 0, candidate |-> 0, own |-> Old, gave |-> FALSE]
  /\ create = None /\ ending = Idle

\* --- the job and the device ---------------------------------------------------------------------------------
JobBegins == job = "queued" /\ job' = "in-progress"
             /\ UNCHANGED <<record, certs, known, asked, answered, confirming, acknowledged, device, create, ending>>
JobOver == job /= "over" /\ job' = "over"
           /\ UNCHANGED <<record, certs, known, asked, answered, confirming, acknowledged, device, create, ending>>

Confirming == device.candidate \in confirming
DeviceAsks ==
  /\ job = "in-progress" /\ ~Confirming /\ ~device.gave /\ device.key < Keys
  /\ device' = [device EXCEPT !.key = @ + 1, !.candidate = 0]
  /\ asked' = device.key + 1
  /\ UNCHANGED <<job, record, certs, known, answered, confirming, acknowledged, create, ending>>
DeviceInstalls ==
  /\ device.key > 0 /\ ~device.gave /\ device.candidate = 0 /\ device.own = Old
  /\ \E made \in answered : certs[made].key = device.key /\ device' = [device EXCEPT !.candidate = made]
  /\ UNCHANGED <<job, record, certs, known, asked, answered, confirming, acknowledged, create, ending>>
DeviceConfirms ==
  /\ device.candidate /= 0 /\ ~Confirming /\ Usable(device.candidate)
  /\ confirming' = confirming \union {device.candidate}
  /\ UNCHANGED <<job, record, certs, known, asked, answered, acknowledged, device, create, ending>>
DeviceDestroysOld ==
  /\ device.candidate \in (IF Defect = "device hurries" THEN confirming ELSE acknowledged)
  /\ device' = [device EXCEPT !.own = device.candidate, !.candidate = 0]
  /\ UNCHANGED <<job, record, certs, known, asked, answered, confirming, acknowledged, create, ending>>
DeviceGivesUp ==
  /\ device.own = Old /\ ~device.gave /\ job /= "over" /\ job' = "over"
  /\ device' = IF Confirming THEN device ELSE [key |-> 0, candidate |-> 0, own |-> Old, gave |-> TRUE]
  /\ UNCHANGED <<record, certs, known, asked, answered, confirming, acknowledged, create, ending>>

\* --- the ledger: whoever has read the record finds it changed -------------------------------------------------
Stale == IF create.at \in {"seek", "intend", "discard", "look", "issue", "note"}
         THEN [create EXCEPT !.fresh = FALSE] ELSE create

\* --- certificate/confirm --------------------------------------------------------------------------------------
ConfirmOnRecord ==
  /\ record.new \in confirming
  /\ record.state \in (IF Defect = "confirms late" THEN {"issued", "rolling-back", "rolled-back"} ELSE {"issued"})
  /\ record' = [record EXCEPT !.state = "confirmed"] /\ create' = Stale
  /\ UNCHANGED <<job, certs, known, asked, answered, confirming, acknowledged, device, ending>>
ConfirmAnswered ==
  /\ record.new \in confirming /\ record.state \in {"confirmed", "finished"} /\ record.new \notin acknowledged
  /\ acknowledged' = acknowledged \union {record.new}
  /\ UNCHANGED <<job, record, certs, known, asked, answered, confirming, device, create, ending>>

\* --- certificate/create, one call after the other ---------------------------------------------------------------
Inactive(key, since) == {c \in 1..Len(certs) : c > since /\ certs[c].key = key /\ ~certs[c].active /\ ~certs[c].gone}
Newest(S) == IF S = {} THEN 0 ELSE CHOOSE c \in S : \A d \in S : d <= c
AfterIntent(r, key) == [at |-> IF r.spent = <<>> THEN "look" ELSE "discard", key |-> key, fresh |-> TRUE,
                        made |-> 0, since |-> r.since, todo |-> r.spent]
Begin(at, key, made) == [None EXCEPT !.at = at, !.key = key, !.made = made]
Handler(key) ==
  IF record.state = "issued" /\ record.key = key THEN Begin("attach", key, record.new)
  ELSE IF record.state = "issuing" /\ record.key = key THEN AfterIntent(record, key)
  ELSE IF key \in known THEN None
  ELSE IF record.state = "issuing" /\ Defect /= "forgets unrecorded" THEN Begin("seek", key, 0)
  ELSE Begin("intend", key, IF Defect = "forgets spent" THEN 0 ELSE record.new)

CreateRead ==
  /\ create = None /\ certs[Old].attached /\ job = "in-progress"
  /\ record.state \in {"requested", "issuing", "issued"}
  /\ \E key \in 1..asked : Handler(key) /= None /\ create' = Handler(key)
  /\ UNCHANGED <<job, record, certs, known, asked, answered, confirming, acknowledged, device, ending>>
CreateAnsweredAgain ==
  /\ create = None /\ certs[Old].attached /\ job = "in-progress" /\ record.state = "confirmed"
  /\ record.key \in 1..asked /\ record.new \notin answered /\ answered' = answered \union {record.new}
  /\ UNCHANGED <<job, record, certs, known, asked, confirming, acknowledged, device, create, ending>>
CreateGone ==
  /\ create /= None /\ create' = None
  /\ UNCHANGED <<job, record, certs, known, asked, answered, confirming, acknowledged, device, ending>>
CreateSeek ==
  /\ create.at = "seek"
  /\ create' = [create EXCEPT !.at = "intend",
                 !.made = IF create.fresh THEN Newest(Inactive(record.key, record.since)) ELSE 0]
  /\ UNCHANGED <<job, record, certs, known, asked, answered, confirming, acknowledged, device, ending>>
CreateIntend ==
  /\ create.at = "intend"
  /\ IF create.fresh
     THEN LET spent == IF create.made = 0 THEN record.spent ELSE Append(record.spent, create.made)
          IN /\ record' = [record EXCEPT !.state = "issuing", !.new = 0, !.key = create.key,
                                         !.since = Len(certs), !.spent = spent]
             /\ create' = AfterIntent(record', create.key)
     ELSE create' = None /\ UNCHANGED record
  /\ UNCHANGED <<job, certs, known, asked, answered, confirming, acknowledged, device, ending>>

Gone(c) == [key |-> certs[c].key, active |-> FALSE, attached |-> FALSE, granted |-> FALSE, gone |-> TRUE]
Taken(c) == IF certs[c].gone THEN certs
            ELSE IF certs[c].active THEN [certs EXCEPT ![c].active = FALSE]
            ELSE IF certs[c].attached THEN [certs EXCEPT ![c].attached = FALSE]
            ELSE IF Defect = "keeps withdrawn" THEN certs
            ELSE [certs EXCEPT ![c] = Gone(c)]
Rest(todo) == LET c == Head(todo) IN
              IF certs[c].gone \/ (~certs[c].active /\ ~certs[c].attached) THEN Tail(todo) ELSE todo
CreateDiscard ==
  /\ create.at = "discard" /\ certs' = Taken(Head(create.todo))
  /\ create' = [create EXCEPT !.todo = Rest(create.todo), !.at = IF Rest(create.todo) = <<>> THEN "look" ELSE "discard"]
  /\ UNCHANGED <<job, record, known, asked, answered, confirming, acknowledged, device, ending>>
CreateLook ==
  LET found == IF Defect = "no look" THEN 0 ELSE Newest(Inactive(create.key, create.since)) IN
  /\ create.at = "look" /\ (found /= 0 \/ Len(certs) <= MostMade)
  /\ create' = [create EXCEPT !.at = IF found /= 0 THEN "note" ELSE "issue", !.made = found]
  /\ UNCHANGED <<job, record, certs, known, asked, answered, confirming, acknowledged, device, ending>>
CreateIssue ==
  /\ create.at = "issue" /\ Len(certs) <= MostMade
  /\ certs' = Append(certs, [key |-> create.key, active |-> FALSE, attached |-> FALSE, granted |-> FALSE, gone |-> FALSE])
  /\ create' = [create EXCEPT !.at = "note", !.made = Len(certs) + 1]
  /\ UNCHANGED <<job, record, known, asked, answered, confirming, acknowledged, device, ending>>
CreateNote ==
  LET wanted == record.new = create.made \/ (record.state = "issuing" /\ record.key = create.key)
      c == create.made IN
  /\ create.at = "note"
  /\ IF create.fresh
     THEN /\ record' = [record EXCEPT !.state = "issued", !.new = c, !.key = create.key, !.issued = @ + 1]
          /\ known' = known \union {create.key} /\ create' = Begin("attach", create.key, c) /\ UNCHANGED certs
     ELSE /\ certs' = IF wanted \/ certs[c].attached \/ certs[c].active THEN certs ELSE [certs EXCEPT ![c] = Gone(c)]
          /\ create' = None /\ UNCHANGED <<record, known>>
  /\ UNCHANGED <<job, asked, answered, confirming, acknowledged, device, ending>>
Working(at, next, certificate) ==
  /\ create.at = at
  /\ IF certs[create.made].gone THEN create' = None /\ UNCHANGED certs
     ELSE create' = [create EXCEPT !.at = next] /\ certs' = [certs EXCEPT ![create.made] = certificate]
  /\ UNCHANGED <<job, record, known, asked, answered, confirming, acknowledged, device, ending>>
First == Defect = "activates first"
CreateAttach == create.made /= 0 /\ Working("attach", IF First THEN "activate" ELSE "grant",
                                            [certs[create.made] EXCEPT !.attached = TRUE])
CreateGrant == create.made /= 0 /\ Working("grant", IF First THEN "answer" ELSE "activate",
                                           [certs[create.made] EXCEPT !.granted = TRUE])
CreateActivate == create.made /= 0 /\ Working("activate", IF First THEN "grant" ELSE "answer",
                                              [certs[create.made] EXCEPT !.active = TRUE])
CreateAnswer ==
  /\ create.at = "answer" /\ create' = None
  /\ answered' = IF certs[create.made].gone THEN answered ELSE answered \union {create.made}
  /\ UNCHANGED <<job, record, certs, known, asked, confirming, acknowledged, device, ending>>

\* --- the responder, once the job or the time is over --------------------------------------------------------------
Settle ==
  /\ ending = Idle /\ job = "over" /\ record.state \notin Over
  /\ IF record.state = "confirmed" \/ (Defect = "retires unconfirmed" /\ record.state = "issued")
     THEN ending' = [at |-> "deactivate", todo |-> <<>>] /\ UNCHANGED <<record, create>>
     ELSE /\ ending' = [at |-> "gather", todo |-> <<>>]
          /\ IF record.state = "rolling-back" THEN UNCHANGED <<record, create>>
             ELSE record' = [record EXCEPT !.state = "rolling-back"] /\ create' = Stale
  /\ UNCHANGED <<job, certs, known, asked, answered, confirming, acknowledged, device>>
EndGone ==
  /\ ending /= Idle /\ ending' = Idle
  /\ UNCHANGED <<job, record, certs, known, asked, answered, confirming, acknowledged, device, create>>
EndDeactivate ==
  /\ ending.at = "deactivate" /\ certs' = [certs EXCEPT ![Old].active = FALSE] /\ ending' = [ending EXCEPT !.at = "detach"]
  /\ UNCHANGED <<job, record, known, asked, answered, confirming, acknowledged, device, create>>
EndDetach ==
  /\ ending.at = "detach" /\ certs' = [certs EXCEPT ![Old].attached = FALSE] /\ ending' = [ending EXCEPT !.at = "finish"]
  /\ UNCHANGED <<job, record, known, asked, answered, confirming, acknowledged, device, create>>
EndCommit(at, state) ==
  /\ ending.at = at /\ record' = [record EXCEPT !.state = state] /\ create' = Stale /\ ending' = Idle
  /\ UNCHANGED <<job, certs, known, asked, answered, confirming, acknowledged, device>>
EndGather ==
  LET made == IF record.new /= 0 THEN record.new
              ELSE IF record.key /= 0 THEN Newest(Inactive(record.key, record.since)) ELSE 0
      todo == IF made = 0 THEN record.spent ELSE Append(record.spent, made) IN
  /\ ending.at = "gather" /\ ending' = [at |-> IF todo = <<>> THEN "return" ELSE "withdraw", todo |-> todo]
  /\ UNCHANGED <<job, record, certs, known, asked, answered, confirming, acknowledged, device, create>>
EndWithdraw ==
  /\ ending.at = "withdraw" /\ certs' = Taken(Head(ending.todo))
  /\ ending' = IF Rest(ending.todo) = <<>> THEN [at |-> "return", todo |-> <<>>] ELSE [ending EXCEPT !.todo = Rest(ending.todo)]
  /\ UNCHANGED <<job, record, known, asked, answered, confirming, acknowledged, device, create>>
GraceOver ==
  /\ record.state = "finished" /\ ~certs[Old].gone /\ ~certs[Old].active /\ ~certs[Old].attached
  /\ certs' = [certs EXCEPT ![Old] = Gone(Old)]
  /\ UNCHANGED <<job, record, known, asked, answered, confirming, acknowledged, device, create, ending>>

CreateSteps == CreateSeek \/ CreateIntend \/ CreateDiscard \/ CreateLook \/ CreateIssue \/ CreateNote
               \/ CreateAttach \/ CreateGrant \/ CreateActivate \/ CreateAnswer
EndSteps == Settle \/ EndDeactivate \/ EndDetach \/ EndCommit("finish", "finished") \/ EndGather \/ EndWithdraw
            \/ EndCommit("return", "rolled-back")
Next == JobBegins \/ JobOver \/ DeviceAsks \/ DeviceInstalls \/ DeviceConfirms \/ DeviceDestroysOld \/ DeviceGivesUp
        \/ ConfirmOnRecord \/ ConfirmAnswered \/ CreateRead \/ CreateAnsweredAgain \/ CreateGone \/ CreateSteps
        \/ EndSteps \/ EndGone \/ GraceOver

\* Fairness: a job ends in time, and the responder does not stop for ever. Nothing is asked of the device.
Spec == Init /\ [][Next]_vars /\ WF_vars(JobOver) /\ WF_vars(EndSteps)

\* --- the promises -----------------------------------------------------------------------------------------------
Has == {device.own} \union (IF device.candidate = 0 THEN {} ELSE {device.candidate})
NeverWithout == \E c \in Has : Usable(c)
OldOnlyAfterUse == Usable(Old) \/ (record.state \in {"confirmed", "finished"} /\ record.new \in confirming)
Range(s) == {s[i] : i \in 1..Len(s)}
Going == Range(record.spent) \union (IF record.state = "rolling-back" THEN {record.new} ELSE {})
LetInLast == \A c \in 1..Len(certs) : (certs[c].active /\ c \notin Going) => Usable(c)
Used == IF record.state = "finished" THEN record.new ELSE Old
OneInTheEnd == Settled => {c \in 1..Len(certs) : certs[c].active} = {Used}
AcknowledgedForGood == \A c \in acknowledged : c = record.new /\ record.state \in {"confirmed", "finished"}
SameAnswer == \A c, d \in answered : certs[c].key = certs[d].key => c = d
MadeOnce == \A c, d \in 1..Len(certs) : (c /= d /\ certs[c].key = certs[d].key) => (certs[c].gone \/ certs[d].gone)
NothingLeft == Settled => \A c \in 1..Len(certs) \ {Old, Used} :
                            ~certs[c].active /\ ~certs[c].attached /\ ~certs[c].granted
\* It ends, however often the responder is gone before it gets through once: unless it is gone for ever and ever.
Ends == []<><<EndGone>>_vars \/ <>[](record.state \in Over)
=============================================================================
