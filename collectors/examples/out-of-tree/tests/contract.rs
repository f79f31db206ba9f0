//! The contract of the site's collectors, on machines of the site.

use node_annotator_testing::Contract;
use serde_json::json;
use site_annotator::MACHINE_IMAGE;

#[test]
fn machine_image_keeps_its_contract() {
    let machines = Contract::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures"));
    let outcomes = machines.check(&MACHINE_IMAGE);
    assert_eq!(
        outcomes["amazon-linux"],
        json!({
            "outcome": "collected",
            "facts": {
                "machine-image": "al2023-ami-kernel-6.1",
                "machine-image.version": "2023.8.20250715",
            },
        })
    );
    assert_eq!(outcomes["debian"]["reason"], "there is no `/etc/image-id`");
}
