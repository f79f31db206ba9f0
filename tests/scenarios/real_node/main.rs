//! Scenarios on a real node: kubelet, containerd, runc, and the container image of the product.
//!
//! One node serves all of them, one after the other. Where there can be no real node, the reason is printed,
//! and nothing is tested. Arguments that are no flags select scenarios by a part of their names.

mod catalogue;
mod confinement;
mod ending;
mod failing;
mod fleet;
mod host_files;
mod machine;
mod names;
mod once;
mod outages;
mod probes;
mod run_once;
mod scheduling;
mod world;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use futures_util::FutureExt as _;
use node_annotator_collectors as _;
use node_annotator_tests::real_node::unavailable;

use machine::Machine;
use world::World;

/// Far more than any of them takes.
const LIMIT: Duration = Duration::from_mins(5);

type Scenario = for<'a> fn(&'a mut World) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// Names a function by its path, `module::function`, which is how it is selected.
macro_rules! scenarios {
    ($($module:ident $(::$further:ident)+),* $(,)?) => {
        &[$((
            concat!(stringify!($module) $(, "::", stringify!($further))+),
            |world| Box::pin($module $(::$further)+(world)),
        )),*]
    };
}

/// Each starts from what [`World::clean`] leaves: a ready node without any key of ours.
const SCENARIOS: &[(&str, Scenario)] = scenarios![
    run_once::every_pod_is_gone_after_its_patch,
    catalogue::a_pod_sees_what_the_machine_has,
    confinement::the_container_has_no_rights,
    confinement::the_token_is_bound_to_pod_and_node,
    confinement::a_stolen_token_writes_no_other_node,
    confinement::the_image_is_present_and_memory_suffices,
    ending::sigterm_ends_a_lingering_container_at_once,
    failing::a_failing_collector_stays_says_why_and_recovers,
    failing::the_pod_of_a_node_that_gave_up_goes_away,
    outages::nothing_runs_again_after_a_restart_or_a_reboot,
    outages::a_node_that_registers_anew_runs_again,
    scheduling::cordoned_drained_and_tainted_nodes_run,
    scheduling::a_node_that_is_not_ready_runs_when_it_is,
    scheduling::a_full_node_runs_when_there_is_room,
    probes::a_pod_passes_the_probes_of_the_component,
    names::a_pod_finds_api_server_and_metadata_service_by_name,
    names::an_empty_root_suffices_to_find_names,
    host_files::a_pod_starts_with_and_without_an_optional_file,
    fleet::three_nodes_run_once_each,
    once::running::a_task_runs_once_and_nothing_is_left,
    once::running::a_task_that_fails_says_why_and_ends,
    once::running::two_tasks_a_check_and_a_privileged_one,
    once::running::the_copied_pattern_is_taken_over,
    once::running::the_copied_pattern_as_it_is_fails_for_ever,
    once::interrupted::what_is_killed_is_a_failure_and_is_tried_again,
    once::interrupted::a_node_that_reboots_in_the_middle_goes_on,
    once::interrupted::a_task_per_boot_runs_again_after_a_reboot,
    once::recipes::each_recipe_runs,
    once::hostile::no_container_finds_our_token,
];

/// What is looked at from outside, before and after all others.
const MACHINE: &str = "machine::is_as_before";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [first, report] = &arguments[..]
        && first == machine::UNTIL_KILLED
    {
        return exit(machine::wait_to_be_killed(report.as_ref()).await.map(|()| 0));
    }
    let filters: Vec<_> = arguments.iter().filter(|it| !it.starts_with('-')).collect();
    let is_chosen = |name: &str| filters.is_empty() || filters.iter().any(|it| name.contains(it.as_str()));
    let chosen: Vec<_> = SCENARIOS.iter().filter(|(name, _)| is_chosen(name)).collect();
    let machine = is_chosen(MACHINE);
    if arguments.iter().any(|it| it == "--list") {
        let names = chosen.iter().map(|(name, _)| *name).chain(machine.then_some(MACHINE));
        names.for_each(|name| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let count = chosen.len() + usize::from(machine);
    if count == 0 {
        return ExitCode::SUCCESS;
    }
    if let Some(reason) = unavailable() {
        println!("skipped: {count} scenarios on a real node: {reason}");
        return ExitCode::SUCCESS;
    }
    exit(run(&chosen, machine).await)
}

fn exit(failures: Result<usize>) -> ExitCode {
    match failures {
        Ok(0) => return ExitCode::SUCCESS,
        Ok(failures) => eprintln!("{failures} scenarios failed"),
        Err(error) => eprintln!("error: {error:#}"),
    }
    ExitCode::FAILURE
}

/// Returns how many failed.
async fn run(scenarios: &[&(&str, Scenario)], machine: bool) -> Result<usize> {
    let before = Machine::look()?;
    let mut failures = 0;
    let mut report = |name: &str, started: Instant, outcome: Result<()>| {
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("ok ({seconds:.1} s): {name}"),
            Err(error) => {
                failures += 1;
                println!("FAILED ({seconds:.1} s): {name}: {error:#}");
            }
        }
    };
    if machine {
        let started = Instant::now();
        let outcome = machine::is_as_before_after_sigkill(&before).await;
        report("machine::is_as_before_after_sigkill", started, outcome);
    }
    if !scenarios.is_empty() {
        let started = Instant::now();
        let mut world = World::start().await?;
        println!("a real node is ready ({:.1} s)", started.elapsed().as_secs_f64());
        for (name, scenario) in scenarios {
            let started = Instant::now();
            let run = AssertUnwindSafe(scenario(&mut world)).catch_unwind();
            let outcome = match tokio::time::timeout(LIMIT, run).await {
                Ok(Ok(outcome)) => outcome,
                // What it says has been printed.
                Ok(Err(_)) => Err(anyhow!("panicked")),
                Err(_) => Err(anyhow!("not done after {LIMIT:?}")),
            };
            report(name, started, outcome);
            world.clean().await?;
        }
    }
    if machine {
        let started = Instant::now();
        let changes = Machine::look()?.changes_since(&before);
        let outcome = if changes.is_empty() { Ok(()) } else { Err(anyhow!("{changes:#?}")) };
        report("machine::is_as_before_after_all_scenarios", started, outcome);
    }
    Ok(failures)
}
