//! Scripts, and who is told what becomes of them.

use std::time::Duration;

use exeunit::gsb::{
    CallError, decode, encode,
    message::{Exec, GetExecBatchResults},
};
use serde_json::json;
use ya_client_model::activity::{ActivityState, State};

use super::{LONG, Scene};
use crate::{
    activity::{ExecError, NoActivity, roster::Roster},
    gsb::Answer,
    id::BatchId,
};

#[tokio::test(start_paused = true)]
async fn scripts_reach_the_exe_unit_and_its_answers_the_requestor() {
    let scene = Scene::new().await;
    let (id, _line, mut calls) = scene.activity().await;
    let exe_unit = tokio::spawn(async move {
        let call = calls.recv().await.unwrap();
        assert_eq!(call.component, "Exec");
        let exec: Exec = decode(&call.data).unwrap();
        let answer = encode(&Ok::<_, CallError>(exec.batch_id.clone())).unwrap();
        call.answers.send(Answer::Last(answer)).unwrap();

        let call = calls.recv().await.unwrap();
        let results: GetExecBatchResults = decode(&call.data).unwrap();
        assert_eq!(results.batch_id, exec.batch_id);
        assert_eq!(
            (results.timeout, results.command_index),
            (Some(5.0), Some(1))
        );
        let late = CallError::Timeout("not yet".to_owned());
        let answer = encode(&Err::<(), _>(late)).unwrap();
        call.answers.send(Answer::Last(answer)).unwrap();
        exec.exe_script.len()
    });
    let script = serde_json::from_value(json!([{"deploy": {}}, {"start": {}}])).unwrap();
    let batch = scene
        .activities
        .exec(scene.requestor, id.clone(), script)
        .await;
    let timeout = Duration::from_secs(5);
    let results = scene
        .activities
        .results(
            scene.requestor,
            id.clone(),
            batch.unwrap(),
            timeout,
            Some(1),
        )
        .await;
    let error = CallError::Timeout("not yet".to_owned());
    assert_eq!(
        results,
        Err(ExecError::Call {
            activity: id,
            error
        })
    );
    assert_eq!(exe_unit.await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_dead_exe_unit_hears_how_it_died() {
    let scene = Scene::new().await;
    let (id, line, mut calls) = scene.activity().await;
    let (activities, requestor) = (scene.activities.clone(), scene.requestor);
    let waiting = tokio::spawn({
        let (id, batch) = (id.clone(), BatchId::from("batch"));
        async move { activities.results(requestor, id, batch, LONG, None).await }
    });
    drop(calls.recv().await.unwrap());
    scene.bus.close_line(line).await;
    let state = ActivityState {
        state: State::Terminated.into(),
        reason: Some("aborted".to_owned()),
        error_message: Some("killed by signal 9".to_owned()),
    };
    let (activities, provider) = (&scene.activities, scene.provider);
    activities
        .report_state(provider, id.clone(), state)
        .await
        .unwrap();
    let ended = Err(ExecError::Ended {
        activity: id.clone(),
        reason: "aborted: killed by signal 9".to_owned(),
    });
    assert_eq!(waiting.await.unwrap(), ended);
    // And nothing more can be asked of it.
    let batch = BatchId::from("batch");
    let results = activities.results(requestor, id, batch, LONG, None).await;
    assert_eq!(results, ended);
}

#[tokio::test(start_paused = true)]
async fn an_exe_unit_that_leaves_without_a_word_is_not_waited_for() {
    let scene = Scene::new().await;
    let (id, line, calls) = scene.activity().await;
    drop(calls);
    scene.bus.close_line(line).await;
    let exec = scene
        .activities
        .exec(scene.requestor, id.clone(), vec![])
        .await;
    let reason = "its exe-unit has left the bus".to_owned();
    let activity = id;
    assert_eq!(exec, Err(ExecError::Ended { activity, reason }));
}

#[tokio::test(start_paused = true)]
async fn an_exe_unit_that_does_not_understand_has_not_gone() {
    let scene = Scene::new().await;
    let (id, _line, mut calls) = scene.activity().await;
    let error = CallError::BadRequest("what?".to_owned());
    let refusal = Answer::Failed(error.clone());
    let exe_unit = async { calls.recv().await.unwrap().answers.send(refusal) };
    let exec = scene.activities.exec(scene.requestor, id.clone(), vec![]);
    let began = tokio::time::Instant::now();
    let (sent, exec) = tokio::join!(exe_unit, exec);
    sent.unwrap();
    let activity = id;
    assert_eq!(exec, Err(ExecError::Call { activity, error }));
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn only_the_requestor_has_scripts_run() {
    let scene = Scene::new().await;
    let (id, _line, _calls) = scene.activity().await;
    let (activities, provider) = (&scene.activities, scene.provider);
    let not_found = ExecError::NotFound(NoActivity(id.clone()));
    let exec = activities.exec(provider, id.clone(), vec![]).await;
    assert_eq!(exec, Err(not_found));
    let batch = || BatchId::from("batch");
    let cancel = activities.cancel(provider, id.clone(), batch()).await;
    assert!(matches!(cancel, Err(ExecError::NotFound(_))));
    let results = activities.results(provider, id.clone(), batch(), LONG, None);
    assert!(matches!(results.await, Err(ExecError::NotFound(_))));
    let events = activities.events(provider, id, batch()).await;
    assert!(matches!(events.err(), Some(ExecError::NotFound(_))));
}

#[tokio::test(start_paused = true)]
async fn the_last_batches_are_remembered_and_all_are_counted() {
    let scene = Scene::new().await;
    let (id, ..) = scene.activity().await;
    let note = async |number: usize| {
        let (id, batch) = (id.clone(), BatchId::from(number.to_string()));
        let note = move |roster: &mut Roster, _| roster.note_batch(&id, batch);
        scene.activities.roster.ask(note).await;
    };
    let after = async |seen| {
        let more = scene.activities.batches_after(&id, seen, LONG).await;
        let more = more.unwrap();
        let names: Vec<_> = more.batches.iter().map(ToString::to_string).collect();
        (names, more.seen)
    };
    note(0).await;
    assert_eq!(after(0).await, (vec!["0".to_owned()], 1));
    for number in 1..200 {
        note(number).await;
    }
    let (names, seen) = after(1).await;
    assert_eq!((names.len(), names[49].as_str(), seen), (50, "199", 200));
    note(200).await;
    assert_eq!(after(seen).await, (vec!["200".to_owned()], 201));
    assert_eq!(scene.activities.all().await[0].batches, 201);
}
