//! The port's contract.

use std::sync::atomic::{AtomicUsize, Ordering};

use longshore_ports::suite::workloads::{Bench, run};

use crate::stage::{Stage, workload};

#[tokio::test]
async fn the_runner_keeps_the_contract() {
    let stage = Stage::open().await;
    let used = AtomicUsize::new(0);
    let make = async || {
        let number = used.fetch_add(1, Ordering::Relaxed);
        let mut unfit = stage.release(0, "unfit", 0).await;
        unfit.image = stage.registry.image("unfit", "/missing").await;
        Bench {
            workloads: stage.client.clone(),
            units: ["prod", "test"].map(|environment| workload(environment, &format!("shop-{number}"))),
            good: stage.release(0, "good", 0).await,
            other: stage.release(0, "other", 0).await,
            unready: stage.release(0, "unready", 0).await,
            unfit: Some(unfit),
            last: std::sync::Mutex::default(),
        }
    };
    run(make, async |_| stage.change().await).await;
    stage.client.shutdown().await.unwrap();
}
