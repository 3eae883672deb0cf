//! Allocations.

use chrono::TimeDelta;
use serde_json::json;

use super::Scene;
use crate::{
    id::AllocationId,
    owned::Machine,
    payment::allocation::{AllocateError, AllocationError, NewAllocation},
};

#[test]
fn an_allocation_looks_as_recorded() {
    let mut scene = Scene::new();
    let mut new = scene.new_allocation("11");
    let timeout = scene.now + TimeDelta::hours(1);
    new.timeout = Some(timeout);
    let created = json!(scene.book.allocate(scene.payer, new, scene.now).unwrap());
    assert_eq!(
        created,
        json!({
            "allocationId": created["allocationId"],
            "address": scene.payer,
            "paymentPlatform": "erc20-holesky-tglm",
            "totalAmount": "11",
            "spentAmount": "0",
            "remainingAmount": "11",
            "timestamp": scene.now,
            "timeout": timeout,
            "createdTs": scene.now,
            "updatedTs": scene.now,
            "makeDeposit": false,
        })
    );
    let later = &json!(scene.book.allocations(scene.payer))[0];
    assert_eq!(later["totalAmount"], "11.000000000000000000");
    assert_eq!(later["spentAmount"], "0.000000000000000000");
}

#[test]
fn not_everything_can_be_set_aside() {
    let mut scene = Scene::new();
    let plain = scene.new_allocation("1");
    let elsewhere = NewAllocation {
        payment_platform: Some(serde_json::from_value(json!("gold")).unwrap()),
        ..plain.clone()
    };
    let others = NewAllocation {
        address: Some(scene.payee.to_string()),
        ..plain.clone()
    };
    let past = NewAllocation {
        timeout: Some(scene.now),
        ..plain
    };
    let payee = scene.payee.to_string();
    let mut refusal = |new| {
        scene
            .book
            .allocate(scene.payer, new, scene.now)
            .unwrap_err()
    };
    assert!(
        matches!(refusal(elsewhere), AllocateError::Platform(names) if names.contains("polygon"))
    );
    assert_eq!(refusal(others), AllocateError::Address(payee));
    assert_eq!(refusal(past), AllocateError::Timeout(scene.now));
}

#[test]
fn an_allocation_is_its_owners_until_it_is_released() {
    let mut scene = Scene::new();
    let id = scene.allocate("1");
    let strangers = scene.book.allocation(scene.payee, &id);
    assert_eq!(strangers, Err(AllocationError::NotFound(id.clone())));
    let (payer, now) = (scene.payer, scene.now);
    scene.book.release(payer, &id, now).unwrap();
    let again = scene.book.release(payer, &id, now);
    assert_eq!(again, Err(AllocationError::Released(id)));
    assert_eq!(scene.book.allocations(scene.payer), vec![]);
}

#[test]
fn an_allocation_ends_with_its_time() {
    let mut scene = Scene::new();
    let mut new = scene.new_allocation("1");
    new.timeout = Some(scene.now + TimeDelta::minutes(1));
    scene.book.allocate(scene.payer, new, scene.now).unwrap();
    let end = scene.book.next_deadline().unwrap();
    scene.book.wake(end - TimeDelta::nanoseconds(1));
    assert_eq!(scene.book.allocations(scene.payer).len(), 1);
    scene.book.wake(end);
    assert_eq!(scene.book.allocations(scene.payer).len(), 0);
}

#[test]
fn a_released_allocation_has_no_deadline() {
    let mut scene = Scene::new();
    let mut new = scene.new_allocation("1");
    new.timeout = Some(scene.now + TimeDelta::minutes(1));
    let allocation = scene.book.allocate(scene.payer, new, scene.now).unwrap();
    let id = serde_json::from_value(json!(allocation)["allocationId"].clone()).unwrap();
    assert!(scene.book.next_deadline().is_some());
    scene.book.release(scene.payer, &id, scene.now).unwrap();
    assert_eq!(scene.book.next_deadline(), None);
}

#[test]
fn a_demand_is_decorated_as_recorded() {
    let mut scene = Scene::new();
    let one = scene.allocate("1");
    let same = scene.allocate("2");
    let mut new = scene.new_allocation("3");
    new.payment_platform = Some(serde_json::from_value(json!({"network": "polygon"})).unwrap());
    let other = scene.book.allocate(scene.payer, new, scene.now).unwrap();
    let other = serde_json::from_value(json!(other)["allocationId"].clone()).unwrap();
    let decorations =
        |ids: &[AllocationId]| json!(scene.book.decorations(scene.payer, ids).unwrap());
    let payer = scene.payer.to_string();
    assert_eq!(
        decorations(&[one.clone(), same]),
        json!({
            "properties": [
                {"key": "golem.com.payment.platform.erc20-holesky-tglm.address", "value": payer},
                {"key": "golem.com.payment.protocol.version", "value": "3"},
            ],
            "constraints": [
                "(golem.com.payment.platform.erc20-holesky-tglm.address=*)",
                "(golem.com.payment.protocol.version>1)",
            ],
        })
    );
    assert_eq!(
        decorations(&[one, other])["constraints"][0],
        "(|(golem.com.payment.platform.erc20-holesky-tglm.address=*)\
          (golem.com.payment.platform.erc20-polygon-glm.address=*))"
    );
    assert_eq!(
        decorations(&[]),
        json!({"properties": [], "constraints": []})
    );
    assert!(scene.book.decorations(scene.payee, &["x".into()]).is_err());
}
