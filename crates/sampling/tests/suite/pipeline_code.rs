//! The Rust that a pipeline prints compiles, and makes that pipeline.

use taper_sampling::{Pipeline, SettingError};

#[expect(unreachable_pub, reason = "as it is printed, for any module")]
mod edits {
    include!("../../testdata/pipeline_edits.rs");
}
#[expect(unreachable_pub, reason = "as it is printed, for any module")]
mod cuts {
    include!("../../testdata/pipeline_cuts.rs");
}

#[test]
fn the_rust_of_a_pipeline_makes_it() {
    let cases: [(Result<Pipeline, SettingError>, &str); 2] = [
        (edits::pipeline(), include_str!("../../testdata/pipeline_edits.rs")),
        (cuts::pipeline(), include_str!("../../testdata/pipeline_cuts.rs")),
    ];
    for (compiled, code) in cases {
        let compiled = compiled.expect("in range");
        assert_eq!(compiled.to_rust().expect("data"), code);
        let json = compiled.to_json().expect("data");
        assert_eq!(Pipeline::from_json(&json).as_ref(), Ok(&compiled));
    }
    assert_ne!(edits::pipeline().expect("in range"), cuts::pipeline().expect("in range"));
}
