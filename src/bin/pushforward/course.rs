//! The course of a training: the lines of its log, and what a model keeps of them.

use std::path::Path;

use pushforward::Error;
use pushforward::flow::CoursePoint;

/// Parts of the course that a model keeps.
const PARTS: usize = 200;

/// The lines of a log: step, loss, and the loss on rows held out where there is one.
fn lines(log: &str) -> impl Iterator<Item = (usize, Option<CoursePoint>)> {
    let read = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let (step, loss) = (line.get("step")?.as_u64()?, line.get("loss")?.as_f64()?);
        let validation = line.get("validation").and_then(serde_json::Value::as_f64);
        Some(CoursePoint { step, loss, validation })
    };
    log.lines().enumerate().map(move |(k, line)| (k + 1, read(line)))
}

/// What a model keeps of its log.
pub(crate) fn thinned(log: &str) -> Vec<CoursePoint> {
    let all: Vec<CoursePoint> = lines(log).filter_map(|(_, point)| point).collect();
    let part = |points: &[CoursePoint]| {
        let loss = points.iter().map(|point| point.loss).sum::<f64>() / points.len() as f64;
        let validation = points.iter().rev().find_map(|point| point.validation);
        points.last().map(|last| CoursePoint { step: last.step, loss, validation })
    };
    all.chunks(all.len().div_ceil(PARTS).max(1)).filter_map(part).collect()
}

/// Reads a log that `train --log` wrote.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<CoursePoint>> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
        action: "read",
        path: path.into(),
        source,
    })?;
    let points: Option<Vec<CoursePoint>> = lines(&text).map(|(_, point)| point).collect();
    if let Some(points) = points.filter(|points| !points.is_empty()) {
        return Ok(points);
    }
    let bad = lines(&text).find(|(_, point)| point.is_none()).map_or(1, |(line, _)| line);
    anyhow::bail!(
        "{}, line {bad}: this is no object with the numbers `step` and `loss`: give a file that `train --log` wrote",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_course_is_thinned_to_means() {
        let log: String = (1..=1000).map(|k| format!("{{\"step\":{k},\"loss\":{k}.0}}\n")).collect();
        let points = thinned(&log);
        assert_eq!((points.len(), points[0].step, points[199].step), (200, 5, 1000));
        assert!((points[0].loss - 3.0).abs() < 1e-12 && points[0].validation.is_none());
        let few = "{\"step\":1,\"loss\":2.0,\"validation\":3.0}\n{\"step\":2,\"loss\":1.0}\n";
        assert_eq!(thinned(few).len(), 2);
        assert_eq!(thinned(few)[0].validation, Some(3.0));
        assert!(thinned("").is_empty());
    }
}
