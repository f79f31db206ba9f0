//! Scenarios on a real node: kubelet, containerd, runc, and the container image of the product.
//!
//! One node serves all of them, one after the other. Where there can be no real node, the reason is printed, and nothing is
//! tested. Arguments that are no flags select scenarios by a part of their names.

mod confinement;
mod ending;
mod run_once;
mod world;

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::FutureExt as _;
use node_annotator_collectors as _;
use node_annotator_tests::real_node::unavailable;

use world::World;

/// Far more than any of them takes.
const LIMIT: Duration = Duration::from_mins(5);

type Scenario = for<'a> fn(&'a mut World) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// Names a function as `module::function`, which is how it is selected.
macro_rules! scenarios {
    ($($module:ident::$function:ident),* $(,)?) => {
        &[$((
            concat!(stringify!($module), "::", stringify!($function)),
            |world| Box::pin($module::$function(world)),
        )),*]
    };
}

/// Each starts from what [`World::clean`] leaves: a ready node without any key of ours.
const SCENARIOS: &[(&str, Scenario)] = scenarios![
    run_once::every_pod_is_gone_after_its_patch,
    confinement::the_container_has_no_rights,
    confinement::the_token_is_bound_to_pod_and_node,
    confinement::a_stolen_token_writes_no_other_node,
    confinement::the_image_is_present_and_memory_suffices,
    ending::sigterm_ends_a_lingering_container_at_once,
];

#[tokio::main]
async fn main() -> ExitCode {
    let filters: Vec<_> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let chosen: Vec<_> = SCENARIOS
        .iter()
        .filter(|(name, _)| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())))
        .collect();
    if std::env::args().any(|it| it == "--list") {
        for (name, _) in chosen {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    if chosen.is_empty() {
        return ExitCode::SUCCESS;
    }
    if let Some(reason) = unavailable() {
        println!("skipped: {} scenarios on a real node: {reason}", chosen.len());
        return ExitCode::SUCCESS;
    }
    match run(&chosen).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failures) => {
            eprintln!("{failures} of {} scenarios failed", chosen.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(scenarios: &[&(&str, Scenario)]) -> Result<usize> {
    let started = Instant::now();
    let mut world = World::start().await?;
    println!("a real node is ready ({:.1} s)", started.elapsed().as_secs_f64());
    let mut failures = 0;
    for (name, scenario) in scenarios {
        let started = Instant::now();
        let run = std::panic::AssertUnwindSafe(scenario(&mut world)).catch_unwind();
        let outcome = match tokio::time::timeout(LIMIT, run).await {
            Ok(Ok(outcome)) => outcome,
            // What it says has been printed.
            Ok(Err(_)) => Err(anyhow::anyhow!("panicked")),
            Err(_) => Err(anyhow::anyhow!("not done after {LIMIT:?}")),
        };
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("ok ({seconds:.1} s): {name}"),
            Err(error) => {
                failures += 1;
                println!("FAILED ({seconds:.1} s): {name}: {error:#}");
            }
        }
        world.clean().await?;
    }
    Ok(failures)
}
