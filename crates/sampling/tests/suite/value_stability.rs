//! Golden draws: the tokens that fixed seeds yield, in every build and on every CPU.
//!
//! A test that fails here has found a value-breaking change; it belongs in the changelog under that
//! name. `.ci/same-bits` runs this file once more for each vector unit that the machine has.

use taper_sampling::testkit::Rows;
use taper_sampling::*;

const VOCAB: usize = 3_001;

/// A row with a peak, a long tail, ties and bans, from integers alone so that it is the same
/// everywhere: the sum of four uniforms stands in for a normal.
fn row(seed: u64) -> Vec<f32> {
    let mut series = Draws::new(DrawKey::new(seed)).series(Purpose::Custom(1));
    let mut row: Vec<f32> = (0..VOCAB as u64)
        .map(|i| {
            let bits = series.bits(i);
            let sum: u64 = (0..4).map(|k| bits >> (16 * k) & 0xffff).sum();
            (sum as f32 - 131_070.0) / 16_384.0
        })
        .collect();
    for rank in 1..=30_u16 {
        row[usize::from(rank) * 97] = 12.0 - f32::from(rank) / 4.0;
    }
    row[5] = row[97];
    row[7] = f32::NEG_INFINITY;
    row
}

fn tokens(pipeline: &Pipeline) -> Vec<u32> {
    let mut workspace = Workspace::new(VOCAB);
    let history = History::new(&[97, 194, 5, 97, 194]);
    (0..10)
        .map(|step| {
            let key = DrawKey::new(42).stream(step % 3).step(step);
            let step = Step::new(key).history(&history);
            pipeline.select(&row(9 + key.step), &step, &mut workspace).unwrap().token
        })
        .collect()
}

#[test]
fn fixed_seeds_yield_fixed_tokens() {
    let flat = || Temperature::new(5.0).unwrap();
    let cases = [
        (Pipeline::draw(), vec![5, 194, 97, 5, 388, 5, 5, 5, 97, 5]),
        (Pipeline::draw().then(flat()), vec![265, 1226, 606, 396, 1797, 38, 388, 320, 839, 194]),
        (
            Pipeline::draw().then(flat()).then(TopP::new(0.9).unwrap()),
            vec![259, 1227, 605, 393, 1787, 38, 388, 329, 833, 194],
        ),
        (
            Pipeline::draw().then(flat()).then(MinP::new(0.1).unwrap()),
            vec![249, 1226, 582, 398, 1771, 33, 398, 341, 811, 185],
        ),
        (
            Pipeline::draw()
                .then(RepetitionPenalty::new(1.3).unwrap())
                .then(NoRepeatNgram::new(3).unwrap())
                .then(Temperature::new(1.7).unwrap())
                .then(TopK::new(20).unwrap())
                .then(TopP::new(0.95).unwrap()),
            vec![291, 485, 291, 291, 679, 97, 291, 291, 388, 194],
        ),
        (
            Pipeline::draw().then(TopK::new(1).unwrap().ties(TiePolicy::Random)),
            vec![5, 5, 5, 97, 97, 97, 5, 5, 97, 97],
        ),
        (
            Pipeline::draw().then(TopK::new(1).unwrap().ties(TiePolicy::KeepAll)),
            vec![5, 5, 5, 5, 97, 5, 5, 5, 5, 5],
        ),
    ];
    for (pipeline, want) in cases {
        assert_eq!(tokens(&pipeline), want, "{pipeline}");
    }
}

/// The sums behind the draws, to the last bit.
#[test]
fn masses_are_fixed_to_the_last_bit() {
    let mut workspace = Workspace::new(VOCAB);
    let row = row(9);
    let pipeline = Pipeline::draw().then(Temperature::new(3.0).unwrap());
    let mut candidates =
        pipeline.process(&row, &Step::new(DrawKey::new(0)), &mut workspace).unwrap();
    assert_eq!(candidates.mass().unwrap(), Mass(100_725_881_191_552));
    assert_eq!(candidates.normaliser().unwrap().log_norm().to_bits(), 4_620_937_652_476_741_998);
    assert_eq!(candidates.entropy().unwrap().to_bits(), 4_620_116_218_858_228_868);
}

/// FNV-1a, which is a dozen lines and has no version.
struct Digest(u64);

impl Digest {
    fn add(&mut self, bits: u64) {
        for byte in bits.to_le_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// The token and every number that a step reports; a refusal counts as its words.
    fn add_step(&mut self, pipeline: &Pipeline, row: &[f32], key: DrawKey) {
        let mut workspace = Workspace::new(row.len());
        let mut sequence = pipeline.sequence(key);
        let mut chosen = match sequence.select_given(row, Ask::everything(), &mut workspace) {
            Ok(chosen) => chosen,
            Err(refused) => return refused.to_string().bytes().for_each(|b| self.add(b.into())),
        };
        self.add(chosen.token.into());
        for number in [chosen.logprob, chosen.probability, chosen.entropy] {
            self.add(number.map_or(0, f64::to_bits));
        }
        for stage in chosen.trace.into_iter().flat_map(Trace::stages) {
            self.add(stage.after as u64);
            self.add(stage.removed_mass.map_or(0, f64::to_bits));
            self.add(stage.entropy_after.map_or(0, f64::to_bits));
        }
        let candidates = chosen.candidates();
        self.add(candidates.mass().unwrap().0);
        self.add(candidates.deviation().unwrap().to_bits());
        candidates.for_each(|_, score| self.add(score.to_bits().into()));
    }
}

/// Every pass over every kind of row, in one number.
#[test]
fn all_numbers_of_a_step_are_fixed_to_the_last_bit() {
    let warm = || Pipeline::draw().then(Temperature::new(1.3).unwrap());
    let pipelines = [
        Pipeline::greedy(),
        warm(),
        warm().then(TopK::new(40).unwrap().ties(TiePolicy::Random)),
        warm().then(TopP::new(0.8).unwrap()),
        warm().then(MinP::new(0.05).unwrap()),
        warm().then(Typical::new(0.7).unwrap()),
        warm().then(EtaCutoff::new(0.01).unwrap()),
        warm().then(TopH::new(0.6).unwrap()),
        warm().then(TopNSigma::new(1.0).unwrap()),
        warm().then(Xtc::new(0.5, 0.1).unwrap()),
        Pipeline::draw().then(DynamicTemperature::new(0.5, 1.5, 1.0).unwrap()),
        Pipeline::draw().then(Renormalize),
        Pipeline::selecting(Gumbel),
        Pipeline::selecting(Mirostat::new(3.0, 0.1).unwrap()),
        Pipeline::selecting(MirostatV2::new(3.0, 0.1).unwrap()),
        Pipeline::selecting(AdaptiveP::new(0.1, 0.9).unwrap()),
    ];
    let mut digest = Digest(0xcbf2_9ce4_8422_2325);
    for (row, key) in Rows::new(4).count(56).longest(3000).all() {
        for pipeline in &pipelines {
            digest.add_step(pipeline, &row, key);
        }
    }
    println!("digest {:016x}", digest.0);
    assert_eq!(digest.0, 0x3092_874d_43eb_d913);
}
