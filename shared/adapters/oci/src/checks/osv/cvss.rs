//! The base score of a CVSS v3 vector, as the severity that the score stands for.
//!
//! Source: "CVSS v3.1 Specification Document", sections 5 (severity scale), 7.1 (base equations) and 7.4 (values).

use longshore_events::types::Severity;

/// The severity of a vector such as `CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H`; `None` when it is none.
pub(super) fn severity(vector: &str) -> Option<Severity> {
    let rest = vector.strip_prefix("CVSS:3.")?;
    let metric = |name: &str| rest.split('/').find_map(|part| part.strip_prefix(name)?.strip_prefix(':'));
    let changed = match metric("S")? {
        "C" => true,
        "U" => false,
        _ => return None,
    };
    let vector = value(metric("AV")?, &[("N", 0.85), ("A", 0.62), ("L", 0.55), ("P", 0.2)])?;
    let complexity = value(metric("AC")?, &[("L", 0.77), ("H", 0.44)])?;
    let (low, high) = if changed { (0.68, 0.5) } else { (0.62, 0.27) };
    let privileges = value(metric("PR")?, &[("N", 0.85), ("L", low), ("H", high)])?;
    let interaction = value(metric("UI")?, &[("N", 0.85), ("R", 0.62)])?;
    let loss = |name| value(metric(name)?, &[("H", 0.56), ("L", 0.22), ("N", 0.0)]);
    let base = 1.0 - (1.0 - loss("C")?) * (1.0 - loss("I")?) * (1.0 - loss("A")?);
    let impact =
        if changed { 7.52 * (base - 0.029) - 3.25 * (base - 0.02_f64).powi(15) } else { 6.42 * base };
    if impact <= 0.0 {
        return Some(Severity::Low);
    }
    let ease = 8.22 * vector * complexity * privileges * interaction;
    let score = if changed { 1.08 * (impact + ease) } else { impact + ease };
    let score = (score.min(10.0) * 10.0 - 1e-9).ceil() / 10.0;
    Some(match score {
        score if score >= 9.0 => Severity::Critical,
        score if score >= 7.0 => Severity::High,
        score if score >= 4.0 => Severity::Medium,
        _ => Severity::Low,
    })
}

fn value(given: &str, values: &[(&str, f64)]) -> Option<f64> {
    values.iter().find(|(name, _)| *name == given).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_the_calculator() {
        let cases = [
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Severity::Critical), // 9.8
            ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", Severity::Critical), // 10.0
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", Severity::High),     // 7.5
            ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", Severity::High),     // 7.8
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", Severity::Medium),   // 6.1
            ("CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:L/I:N/A:N", Severity::Low),      // 2.5
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", Severity::Low),      // 0.0
        ];
        for (vector, expected) in cases {
            assert_eq!(severity(vector), Some(expected), "{vector}");
        }
        for none in ["", "CVSS:4.0/AV:N", "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CVSS:3.1/AV:N"] {
            assert_eq!(severity(none), None, "{none}");
        }
    }
}
