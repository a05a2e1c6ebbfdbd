//! `pushforward audit`: proves the mathematics with numbers, one claim after the other.

use std::io::{self, Write as _};
use std::time::Instant;

use anyhow::{Context as _, bail};
use comfy_table::{Cell, CellAlignment, Table, presets};
use pushforward::audit::{self, Claim, Outcome, Verdict, report};
use pushforward::file::AtomicFile;
use pushforward::{Flow, Rng, Simd};
use serde_json::{Value, json};

use crate::args::{AuditArgs, Common};
use crate::console::Interrupt;
use crate::form::Form;

pub(crate) fn run(args: &AuditArgs, common: &Common) -> anyhow::Result<()> {
    let simd = common.simd()?;
    let flow = args.model.as_ref().map(Flow::load).transpose()?.map(|flow| flow.with_simd(simd));
    let form = flow.map(Form::of).transpose()?;
    let data = match (&args.data, &form) {
        (Some(data), Some(form)) => {
            let rows = form.open(data, &args.reading, &mut Rng::from_seed(common.seed))?;
            Some(form.split(rows.read_all()?.values)?.numbers)
        }
        _ => None,
    };
    let mut claims = match &form {
        Some(form) => audit::model_claims(&form.flow, data.as_ref())?,
        None => audit::claims(),
    };
    if let Some(unknown) = args.only.iter().find(|id| !claims.iter().any(|claim| claim.is_about(id))) {
        let known: Vec<&str> = claims.iter().map(|claim| claim.id).collect();
        return Err(pushforward::Error::Setting {
            name: "only",
            value: unknown.clone(),
            remedy: "no claim has this name; `pushforward audit` without --only lists them",
        })
        .with_context(|| format!("known are {}", known.join(", ")));
    }
    claims.retain(|claim| args.only.is_empty() || args.only.iter().any(|id| claim.is_about(id)));
    // No signal is watched for: a claim cannot be left half-way, and nothing is written before all of them are known.
    let start = Instant::now();
    let progress = common.progress(claims.len() as u64);
    let mut checked: Vec<(&Claim<'_>, Outcome)> = Vec::new();
    for claim in &claims {
        progress.set_message(claim.id);
        checked.push((claim, claim.check(args.real)));
        progress.inc(1);
    }
    progress.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    if let Some(path) = &args.report {
        let title = args.model.as_ref().map_or("pushforward: the audit".into(), |model| {
            format!("pushforward: the audit of {}", model.display())
        });
        let facts = [
            format!("pushforward {}, numbers of type {}", env!("CARGO_PKG_VERSION"), args.real),
            format!("SIMD level of this CPU: {}; {seconds:.1} s", Simd::detect().level()),
            format!("false alarm of a claim about random numbers: at most {:e}", audit::FALSE_ALARM),
        ];
        let page = report::page(&title, &facts, &checked)?;
        let interrupt = Interrupt::watch()?;
        let mut file = AtomicFile::create(path)?;
        file.write_all(page.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
        interrupt.check()?;
        file.commit()?;
    }
    let of = |verdict| checked.iter().filter(move |(_, outcome)| outcome.verdict == verdict);
    let failed: Vec<&str> = of(Verdict::Fail).map(|(claim, _)| claim.id).collect();
    if common.json {
        common.print_json(&json!({
            "claims": checked.iter().map(|(claim, outcome)| as_json(claim, outcome)).collect::<Vec<_>>(),
            "passed": of(Verdict::Pass).count(),
            "failed": failed.len(),
            "not_built": of(Verdict::NotBuilt).count(),
            "real": args.real.word(),
            "seconds": seconds,
        }))?;
    } else {
        print(&checked)?;
        if checked.iter().any(|(_, outcome)| outcome.finding.is_some() && outcome.real != args.real) {
            writeln!(
                io::stdout(),
                "\nIn f64 whatever the network's numbers: what paths, closed forms and methods consist of."
            )?;
        }
    }
    let (passed, not_built) = (of(Verdict::Pass).count(), of(Verdict::NotBuilt).count());
    common.say(format_args!("{passed} claims hold, {not_built} are not built; {seconds:.1} s"));
    if !failed.is_empty() {
        bail!("{} of {} claims failed: {}", failed.len(), checked.len(), failed.join(", "));
    }
    Ok(())
}

fn as_json(claim: &Claim<'_>, outcome: &Outcome) -> Value {
    let finding = outcome.finding.as_ref();
    json!({
        "id": claim.id,
        "equation": claim.equation,
        "what": claim.what,
        "measured": finding.map(|finding| finding.measured),
        "bound": finding.map(|finding| finding.bound),
        "bound_from": finding.map(|finding| &finding.from),
        "real": outcome.real.word(),
        "verdict": outcome.verdict.word(),
        "error": outcome.error,
        "place": claim.place.map(|place| place.to_string()),
        "seconds": outcome.seconds,
    })
}

/// One row a claim.
fn print(checked: &[(&Claim<'_>, Outcome)]) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["claim", "equation", "what is computed", "in", "measured", "bound", "verdict", "s"]);
    for (claim, outcome) in checked {
        let number = |value: Option<f64>| {
            let text = value.map_or_else(String::new, |value| format!("{value:.2e}"));
            Cell::new(text).set_alignment(CellAlignment::Right)
        };
        let finding = outcome.finding.as_ref();
        table.add_row([
            Cell::new(claim.id),
            Cell::new(claim.equation),
            Cell::new(claim.what),
            Cell::new(finding.map_or("", |_| outcome.real.word())),
            number(finding.map(|finding| finding.measured)),
            number(finding.map(|finding| finding.bound)),
            Cell::new(outcome.verdict.word()),
            Cell::new(format!("{:.2}", outcome.seconds)).set_alignment(CellAlignment::Right),
        ]);
    }
    writeln!(io::stdout(), "{}", table.trim_fmt())?;
    for (claim, outcome) in checked.iter().filter(|(_, outcome)| outcome.verdict == Verdict::NotBuilt) {
        if let Some(why) = &outcome.error {
            writeln!(io::stdout(), "\n{} is not built: {why}", claim.id)?;
        }
    }
    for (claim, outcome) in checked.iter().filter(|(_, outcome)| outcome.verdict == Verdict::Fail) {
        let why = outcome.finding.as_ref().map(|finding| finding.from.as_str());
        let why = outcome.error.as_deref().or(why).unwrap_or_default();
        writeln!(io::stdout(), "\n{} fails. Its bound: {why}", claim.id)?;
    }
    Ok(())
}
