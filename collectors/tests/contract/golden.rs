//! The contract of each collector, and what it says on all machines against one golden file.
//! `INSTA_UPDATE=always cargo test --test contract` writes them anew.

use node_annotator_core::{NamedFacts, Registry};
use node_annotator_testing::Contract;

#[test]
fn every_collector_keeps_its_contract_and_says_what_is_recorded() {
    let contract = Contract::new(crate::FIXTURES).hostile("hostile");
    let named = NamedFacts { names: vec!["rack".to_owned()], ..NamedFacts::default() };
    for collector in Registry::from_inventory().unwrap().iter() {
        let collector =
            if collector.takes_named_facts { collector.with_named_facts(&named).unwrap() } else { collector };
        insta::assert_json_snapshot!(collector.name, contract.check(collector));
    }
}
