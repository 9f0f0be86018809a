//! Updates on an NVIDIA GPU.
//!
//! The kernels are CUDA C: [`source`] puts the rules' texts in front of
//! `update.cu`. It is there without the feature `cuda` too, so that it can be
//! compiled and held against the CPU form where there is no GPU. The rest, which
//! compiles and launches them, comes with the feature.

#[cfg(feature = "cuda")]
mod device;
#[cfg(feature = "cuda")]
mod tables;

#[cfg(feature = "cuda")]
pub use device::{
    Argument, Module, address, compile_for, host_copy, launch, missing_compiler, missing_library,
};
#[cfg(feature = "cuda")]
pub(crate) use tables::Tables;

use crate::Rule;

/// The kernels of an update.
#[cfg(feature = "cuda")]
pub const MODULE: Module = Module {
    name: "adamix-optim",
    source,
};

/// The kernels of an update, in CUDA C.
pub fn source() -> String {
    let mut source = String::from(
        "template <int RULE> __device__ float update(const float* c, float w, float g, float* s);\n\
         template <int RULE> __device__ void prepare(const float* c, float* s, unsigned long long n);\n",
    );
    for (number, (update, prepare)) in Rule::CUDA.iter().enumerate() {
        source += &format!(
            "// {name}\n\
             template <> __device__ float update<{number}>(const float* c, float w, float g, float* s) {{ {update} }}\n\
             template <> __device__ void prepare<{number}>(const float* c, float* s, unsigned long long n) {{ {prepare} }}\n",
            name = Rule::NAMES[number],
        );
    }
    let all: String = (0..Rule::NAMES.len())
        .map(|number| format!(" X({number})"))
        .collect();
    source += &format!("#define RULES(X){all}\n");
    source + include_str!("update.cu")
}

/// The rules' texts against their CPU forms, by a C++ compiler.
#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::kernel;
    use crate::rules::{Adadec, Moment, SLOTS, UpdateRule, Visitor};

    /// Lets a rule be called from outside, once a parameter.
    const CALLS: &str = r#"
        extern "C" float call_update(int rule, const float* c, float w, float g, float* s) {
            switch (rule) {
        #define CASE(RULE) case RULE: return update<RULE>(c, w, g, s);
                RULES(CASE)
        #undef CASE
            }
            return 0;
        }
        extern "C" void call_prepare(int rule, const float* c, float* s, unsigned long long n) {
            switch (rule) {
        #define CASE(RULE) case RULE: prepare<RULE>(c, s, n); break;
                RULES(CASE)
        #undef CASE
            }
        }"#;

    type CallUpdate = unsafe extern "C" fn(i32, *const f32, f32, f32, *mut f32) -> f32;
    type CallPrepare = unsafe extern "C" fn(i32, *const f32, *mut f32, u64);

    /// Forty updates of `LEN` parameters, seven an epoch, by both forms.
    struct Compare {
        number: i32,
        update: CallUpdate,
        prepare: CallPrepare,
    }

    const LEN: usize = 33;

    impl Visitor for Compare {
        type Output = ();

        fn visit<R: UpdateRule>(self, rule: &R) {
            let name = Rule::NAMES[self.number as usize];
            let number = |i: usize, salt: u64| {
                // Any numbers will do, of both signs and of several sizes.
                let x = ((i as u64 + 1) * (salt + 7) * 2_654_435_761 % 1_000_003) as f32;
                (x / 500_000.0 - 1.0) * [1.0, 1e-3, 30.0][i % 3]
            };
            let mut w: Vec<f32> = (0..LEN).map(|i| number(i, 0)).collect();
            let mut state: Vec<f32> = (0..rule.state_len())
                .flat_map(|slot| [rule.initial_state(slot) as f32; LEN])
                .collect();
            let (mut w2, mut state2) = (w.clone(), state.clone());
            for update in 0..40 {
                let g: Vec<f32> = (0..LEN).map(|i| number(i, update + 1)).collect();
                let mut moment = Moment {
                    learning_rate: 0.1 / (1.0 + update as f64),
                    update,
                    steps_per_epoch: 7,
                    sum_of_squares: 0.0,
                };
                kernel::update(rule, moment, &mut w, 0..LEN, &g, &mut state);
                let mut c = rule.scalars(&moment).map(|x| x as f32);
                if R::NEEDS_SUM_OF_SQUARES {
                    let (k, sum) = (f64::from(c[1]), kernel::sum_of_squares(&g));
                    c[0] = (f64::from(c[0]) * (k / (k + sum)).sqrt()) as f32;
                    moment.sum_of_squares = sum;
                }
                for i in 0..LEN {
                    let at = |slot: usize| slot * LEN + i;
                    if rule.prepares(&moment) {
                        // SAFETY: the function takes these; its state's numbers
                        // for parameter i lie LEN apart, inside `state2`.
                        unsafe {
                            (self.prepare)(
                                self.number,
                                c.as_ptr(),
                                state2.as_mut_ptr().add(i),
                                LEN as u64,
                            );
                        }
                    }
                    let slots = rule.slots(update);
                    let mut s: [f32; SLOTS] =
                        slots.map(|slot| slot.map_or(0.0, |slot| state2[at(slot)]));
                    // SAFETY: the function takes these: eight scalars, four
                    // numbers of state.
                    w2[i] = unsafe {
                        (self.update)(self.number, c.as_ptr(), w2[i], g[i], s.as_mut_ptr())
                    };
                    for (slot, value) in slots.iter().zip(s) {
                        if let Some(slot) = slot {
                            state2[at(*slot)] = value;
                        }
                    }
                }
                for (a, b) in w.iter().chain(&state).zip(w2.iter().chain(&state2)) {
                    let same = if R::NEEDS_SUM_OF_SQUARES {
                        (a - b).abs() <= 1e-6 * a.abs()
                    } else {
                        a.to_bits() == b.to_bits()
                    };
                    assert!(
                        same,
                        "{name}, update {update}: {a} on the CPU, {b} in CUDA C"
                    );
                }
            }
            assert!(w.iter().all(|w| w.is_finite()), "{name}: {w:?}");
        }
    }

    #[test]
    fn every_rule_has_the_bits_of_its_cpu_form() {
        let folder = tempfile::tempdir().expect("a folder");
        let (text, library) = (
            folder.path().join("rules.cpp"),
            folder.path().join("rules.so"),
        );
        let header = include_str!("../../../../emulator/cuda_on_cpu.h");
        std::fs::write(&text, format!("{header}\n{}\n{CALLS}", source())).expect("written");
        let compiler = Command::new("c++")
            .args([
                "-O1",
                "-std=c++17",
                "-ffp-contract=off",
                "-shared",
                "-fPIC",
                "-o",
            ])
            .args([&library, &text])
            .status();
        let Ok(status) = compiler else {
            // The README's test command must pass without one; CI has one.
            assert!(std::env::var_os("CI").is_none(), "no C++ compiler");
            return;
        };
        assert!(status.success(), "the rules do not compile");
        // SAFETY: the library was just made of our own text and has no initialiser.
        let library = unsafe { libloading::Library::new(&library) }.expect("loaded");
        // SAFETY: the functions are declared with these types in `CALLS`.
        let (update, prepare) = unsafe {
            (
                *library.get::<CallUpdate>(b"call_update").expect("there"),
                *library.get::<CallPrepare>(b"call_prepare").expect("there"),
            )
        };
        let window = Rule::Adadec(Adadec {
            tau: 5,
            ..Adadec::default()
        });
        for rule in Rule::all().into_iter().chain([window]) {
            let place = Rule::NAMES.iter().position(|name| *name == rule.name());
            rule.visit(Compare {
                number: place.expect("registered") as i32,
                update,
                prepare,
            });
        }
    }
}
