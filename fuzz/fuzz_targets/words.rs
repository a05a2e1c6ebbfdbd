//! Any text as one of the words of the command line: what is understood is said in a word that is understood the same way.

#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use pushforward::closed_form::Baseline;
use pushforward::data::{Missing, Toy};
use pushforward::kernel::Activation;
use pushforward::nn::{LrSchedule, TimeEmbedding};
use pushforward::objective::{TimeSampling, TimeWeight};
use pushforward::ode::{Method, Tolerance};
use pushforward::path::{Prediction, Width};
use pushforward::{Coupling, Divergence, Scheduler, SimdLevel, Source};

fuzz_target!(|text: &str| {
    round::<Activation>(text);
    round::<Baseline>(text);
    round::<Coupling>(text);
    round::<Divergence>(text);
    round::<LrSchedule>(text);
    round::<Method>(text);
    round::<Missing>(text);
    round::<Prediction>(text);
    round::<Scheduler>(text);
    round::<SimdLevel>(text);
    round::<Source>(text);
    round::<TimeEmbedding>(text);
    round::<TimeSampling>(text);
    round::<TimeWeight>(text);
    round::<Tolerance>(text);
    round::<Toy>(text);
    round::<Width>(text);
});

fn round<T: FromStr + Display + Debug>(text: &str)
where
    T::Err: Debug,
{
    if let Ok(value) = text.parse::<T>() {
        let word = value.to_string();
        let again: T = word.parse().expect("a value is said in a word of its own");
        assert!(format!("{again:?}") == format!("{value:?}"), "{text:?} is {value:?}, {word:?} is {again:?}");
    }
}
