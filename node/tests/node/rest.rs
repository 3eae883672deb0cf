//! What holds for the whole API.

use reqwest::{Method, header::AUTHORIZATION};
use serde_json::json;

use crate::{clock::odd_clock, recorded::check, requestor::Requestor, scene::Scene};

#[tokio::test(flavor = "multi_thread")]
async fn only_who_has_the_app_key_is_let_in() {
    let scene = Scene::start().await;
    let url = scene.node.url();
    let send = async |path: String, authorization: Option<&str>| {
        let request = scene.requestor.http.get(format!("{url}{path}"));
        let request = match authorization {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        };
        Requestor::send(request).await
    };
    let key = scene.node.app_key();
    let bearer = format!("Bearer {key}");
    assert_eq!(send("/me".into(), Some(&bearer)).await.status, 200);
    assert_eq!(
        send("/me".into(), Some(&format!("bearer {key}")))
            .await
            .status,
        200
    );
    assert_eq!(send(format!("/me?authToken={key}"), None).await.status, 200);
    assert_eq!(send("/version/get".into(), None).await.status, 200);
    for (path, authorization) in [
        ("/me", None),
        ("/me", Some("Bearer wrong")),
        ("/me", Some("Bearer")),
        ("/me", Some(key)),
        ("/me?authToken=wrong", None),
        ("/nothing", None),
        ("/version", None),
    ] {
        let refused = send(path.to_owned(), authorization).await;
        assert!(
            refused.error(401).contains("app key"),
            "{path} {authorization:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_and_what_look_as_recorded() {
    let scene = Scene::start().await;
    check("version", &scene.requestor.get("/version/get").await);
    check("me", &scene.requestor.get("/me").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_one_shape() {
    let scene = Scene::start().await;
    let requestor = &scene.requestor;
    for (method, path, body, status, message) in [
        ("GET", "/none", "", 404, "no such resource"),
        ("GET", "/market-api/v1/nothing", "", 404, "no such resource"),
        ("PUT", "/me", "", 405, "cannot be done"),
        (
            "POST",
            "/market-api/v1/demands",
            "{",
            400,
            "the body makes no sense: EOF",
        ),
        (
            "POST",
            "/market-api/v1/demands",
            "",
            400,
            "the body makes no sense",
        ),
        (
            "POST",
            "/market-api/v1/demands",
            r#"{"properties": [], "constraints": "()"}"#,
            400,
            "properties must be a JSON object",
        ),
        (
            "POST",
            "/market-api/v1/demands",
            r#"{"properties": {}, "constraints": "(&(a=1)"}"#,
            400,
            "constraints, at byte 7: expected `)`",
        ),
        (
            "GET",
            "/market-api/v1/demands/x/events",
            "",
            404,
            "subscription x not found",
        ),
        (
            "GET",
            "/market-api/v1/demands/x/events?timeout=soon",
            "",
            400,
            "timeout",
        ),
        (
            "DELETE",
            "/market-api/v1/demands/x",
            "",
            404,
            "subscription x not found",
        ),
        (
            "GET",
            "/market-api/v1/agreements/x",
            "",
            404,
            "agreement x not found",
        ),
        (
            "POST",
            "/market-api/v1/agreements/x/confirm",
            "",
            404,
            "agreement x not found",
        ),
        (
            "POST",
            "/market-api/v1/agreements/x/wait",
            "",
            404,
            "agreement x not found",
        ),
        (
            "GET",
            "/market-api/v1/agreementEvents?afterTimestamp=now",
            "",
            400,
            "",
        ),
        (
            "POST",
            "/activity-api/v1/activity",
            r#""x""#,
            404,
            "agreement x not found",
        ),
        (
            "POST",
            "/activity-api/v1/activity",
            "7",
            400,
            "the body makes no sense",
        ),
        (
            "GET",
            "/activity-api/v1/activity/x/state",
            "",
            404,
            "activity x not found",
        ),
        (
            "GET",
            "/activity-api/v1/activity/x/usage",
            "",
            404,
            "activity x not found",
        ),
        (
            "GET",
            "/activity-api/v1/activity/x/exec/y",
            "",
            404,
            "activity x not found",
        ),
        (
            "DELETE",
            "/activity-api/v1/activity/x",
            "",
            404,
            "activity x not found",
        ),
        (
            "POST",
            "/activity-api/v1/activity/x/exec",
            r#"{"text": "[]"}"#,
            404,
            "activity x not found",
        ),
        (
            "GET",
            "/payment-api/v1/allocations/x",
            "",
            404,
            "allocation x not found",
        ),
        (
            "GET",
            "/payment-api/v1/demandDecorations?allocationIds=x",
            "",
            404,
            "allocation x not found",
        ),
        (
            "POST",
            "/payment-api/v1/allocations",
            r#"{"totalAmount": "-1"}"#,
            400,
            "-1 is not between",
        ),
        (
            "GET",
            "/payment-api/v1/invoices/x",
            "",
            404,
            "invoice x not found",
        ),
        (
            "GET",
            "/payment-api/v1/debitNotes/x",
            "",
            404,
            "debit note x not found",
        ),
        (
            "POST",
            "/payment-api/v1/invoices/x/accept",
            r#"{"totalAmountAccepted": "1", "allocationId": "x"}"#,
            404,
            "invoice x not found",
        ),
        ("GET", "/gsb-api/v1/services/x", "", 400, ""),
        (
            "DELETE",
            "/gsb-api/v1/services/x",
            "",
            404,
            "service x not found",
        ),
        (
            "POST",
            "/gsb-api/v1/services",
            r#"{"listen": {"on": "public", "components": []}}"#,
            400,
            "no service can have the address `public`",
        ),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = requestor.request(method.clone(), path).body(body);
        let refused = Requestor::send(request).await.error(status);
        assert!(refused.contains(message), "{method} {path}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn money_looks_as_recorded() {
    let scene = Scene::start_with(|builder| builder.clock(odd_clock())).await;
    let requestor = &scene.requestor;
    let identity = requestor.identity().await;
    let new = json!({
        "totalAmount": "11", "paymentPlatform": "erc20-holesky-tglm", "address": identity,
        "timestamp": "2026-11-20T10:19:39.278Z", "timeout": "2100-11-20T10:57:09.278Z", "makeDeposit": false,
        "remainingAmount": "", "spentAmount": "", "allocationId": "",
    });
    let created = requestor
        .post("/payment-api/v1/allocations?maxItems=10", new)
        .await;
    check("new allocation", &created);
    let id = crate::requestor::text(&created.ok()["allocationId"]);
    let path = format!("/payment-api/v1/allocations/{id}");
    check("allocation", &requestor.get(&path).await);
    let decorations = format!("/payment-api/v1/demandDecorations?allocationIds={id}");
    check("decorations", &requestor.get(&decorations).await);
    let events =
        "/payment-api/v1/invoiceEvents?timeout=0&afterTimestamp=2026-11-20T10%3A19%3A39.270Z";
    check("no events", &requestor.get(events).await);
    check("released", &requestor.delete(&path).await);
    assert!(requestor.get(&path).await.error(410).contains("released"));
    let accounts = requestor
        .get("/payment-api/v1/requestorAccounts")
        .await
        .ok();
    assert_eq!(accounts[0]["platform"], "erc20-holesky-tglm");
    assert_eq!(accounts[0]["address"], json!(identity));
}
