//! Which requests are traced: `OTEL_TRACES_SAMPLER`, with the values of the standard.

use std::fmt;

use opentelemetry_sdk::trace::Sampler;

/// Which traces are recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// All.
    Always,
    /// None.
    Never,
    /// This share, from 0 to 1.
    Share(f64),
    /// Those that the caller records, and if it says nothing: all, none or a share.
    ByParent {
        /// The share of those that begin here.
        share: f64,
    },
}

/// The texts name no sampler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownSampling {
    /// `OTEL_TRACES_SAMPLER`
    Name,
    /// `OTEL_TRACES_SAMPLER_ARG`
    Share,
}

impl fmt::Display for UnknownSampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => {
                "OTEL_TRACES_SAMPLER must be always_on, always_off, traceidratio, parentbased_always_on, \
                 parentbased_always_off or parentbased_traceidratio"
            }
            Self::Share => "OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1",
        })
    }
}

impl Sampling {
    /// Reads a name of the standard and its argument.
    pub fn parse(name: &str, share: Option<&str>) -> Result<Self, UnknownSampling> {
        let share = match share.map(str::parse::<f64>) {
            None => 1.0,
            Some(Ok(share)) if (0.0..=1.0).contains(&share) => share,
            Some(_) => return Err(UnknownSampling::Share),
        };
        match name {
            "always_on" => Ok(Self::Always),
            "always_off" => Ok(Self::Never),
            "traceidratio" => Ok(Self::Share(share)),
            "parentbased_always_on" => Ok(Self::ByParent { share: 1.0 }),
            "parentbased_always_off" => Ok(Self::ByParent { share: 0.0 }),
            "parentbased_traceidratio" => Ok(Self::ByParent { share }),
            _ => Err(UnknownSampling::Name),
        }
    }

    pub(super) fn sampler(self) -> Sampler {
        match self {
            Self::Always => Sampler::AlwaysOn,
            Self::Never => Sampler::AlwaysOff,
            Self::Share(share) => Sampler::TraceIdRatioBased(share),
            Self::ByParent { share } => Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_standard_are_known() {
        for (name, share, expected) in [
            ("always_on", None, Ok(Sampling::Always)),
            ("always_off", Some("0.5"), Ok(Sampling::Never)),
            ("traceidratio", Some("0.25"), Ok(Sampling::Share(0.25))),
            ("traceidratio", None, Ok(Sampling::Share(1.0))),
            ("parentbased_always_on", None, Ok(Sampling::ByParent { share: 1.0 })),
            ("parentbased_always_off", None, Ok(Sampling::ByParent { share: 0.0 })),
            ("parentbased_traceidratio", Some("1"), Ok(Sampling::ByParent { share: 1.0 })),
            ("sometimes", None, Err(UnknownSampling::Name)),
            ("", None, Err(UnknownSampling::Name)),
            ("traceidratio", Some("1.01"), Err(UnknownSampling::Share)),
            ("traceidratio", Some("-0.1"), Err(UnknownSampling::Share)),
            ("traceidratio", Some("NaN"), Err(UnknownSampling::Share)),
            ("traceidratio", Some("half"), Err(UnknownSampling::Share)),
        ] {
            assert_eq!(Sampling::parse(name, share), expected, "{name} {share:?}");
        }
    }
}
