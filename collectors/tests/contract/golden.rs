//! The contract of each collector, and what it says on all machines against one golden file.
//! `INSTA_UPDATE=always cargo test --test contract` writes them anew.

use node_annotator_core::Registry;
use node_annotator_testing::Contract;

#[test]
fn every_collector_keeps_its_contract_and_says_what_is_recorded() {
    let contract = Contract::new(crate::FIXTURES).hostile("hostile");
    for collector in Registry::from_inventory().unwrap().iter() {
        insta::assert_json_snapshot!(collector.name, contract.check(collector));
    }
}
