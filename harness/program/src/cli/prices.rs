//! `prices`: the plans that a matrix can name, and `prices import FILE`: more of them.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{DONE, FAILED, Format, say};
use crate::prices::import::{self, Defaults};
use crate::prices::{FOLDER, catalogue, now};
use wsceiling_model::format;
use wsceiling_model::matrix::names;
use wsceiling_model::matrix::units::format_bytes;
use wsceiling_model::platforms::{Age, Catalogue, PriceRecord, write_prices};

/// Bad rows that are named.
const BAD_MAX: usize = 20;

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "A size of a matrix names one of them: `plan = \"hetzner/cx23\"`. Nothing is fetched: the lists are those of \
                  the program, and the files in `prices/` of this folder and beside the matrix file."
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// List only plans with this in their names: hetzner, 4gb
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Format of the list on standard output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Read a list that you downloaded, CSV or JSON, into the folder `prices/`
    Import(ImportArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "Columns, or keys of the objects of a list: plan, cpus, memory (4GiB), price (a month) or \
                        price_per_hour, and provider, region, dedicated, currency, tax, cap, source, seen, valid_from, \
                        method. Read as they are: Vultr's list (https://api.vultr.com/v2/plans) and AWS's of EC2 \
                        (index.csv of a region). docs/prices.md has the details.")]
struct ImportArguments {
    /// The list
    file: PathBuf,
    /// Whose plans they are, where the rows do not say
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Their currency, where the rows do not say: EUR
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// Whether tax is in the prices, where the rows do not say
    #[arg(long, value_parser = ["included", "excluded"])]
    tax: Option<String>,
    /// Where the list comes from, for example its address [default: the name of the file]
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// The day on which you downloaded it: 2026-11-24 [default: the day on which the file was written]
    #[arg(long, value_name = "DAY")]
    seen: Option<String>,
    /// The folder that it is written into
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    into: PathBuf,
    /// Take the other rows where some are bad
    #[arg(long)]
    skip_bad: bool,
    /// Replace what was imported from the same list of the same day
    #[arg(long)]
    replace: bool,
}

pub(super) fn run(arguments: Arguments) -> Result<u8> {
    match arguments.verb {
        Some(Verb::Import(arguments)) => import(&arguments),
        None => list(arguments.only.as_deref(), arguments.format),
    }
}

fn list(only: Option<&str>, format: Format) -> Result<u8> {
    let catalogue = catalogue(None);
    let wanted = only.unwrap_or_default().to_lowercase();
    let is_wanted = |row: &&PriceRecord| row.full_name().to_lowercase().contains(&wanted);
    let mut rows: Vec<&PriceRecord> = catalogue.rows().iter().filter(is_wanted).collect();
    rows.sort_by(|a, b| {
        let by_provider = a.provider.cmp(&b.provider).then(a.cpus.total_cmp(&b.cpus));
        by_provider.then(a.memory_bytes.cmp(&b.memory_bytes)).then_with(|| a.full_name().cmp(&b.full_name()))
    });
    if rows.is_empty() {
        eprintln!("no plan has `{wanted}` in its name");
    }
    match format {
        Format::Text => say(&table(&rows, &catalogue))?,
        Format::Json => {
            let rows: Vec<_> = rows.iter().map(|row| described(row, &catalogue)).collect();
            say(&format!("{}\n", serde_json::to_string_pretty(&rows)?))?;
        }
    }
    for fault in catalogue.unreadable() {
        eprintln!("error: {fault}");
    }
    Ok(if catalogue.unreadable().is_empty() { DONE } else { FAILED })
}

/// A row with its age.
fn described(row: &PriceRecord, catalogue: &Catalogue) -> serde_json::Value {
    let age = catalogue.age(row);
    json!({
        "name": row.full_name(),
        "row": row,
        "age_days": age.and_then(Age::days),
        "used": catalogue.is_usable(row),
    })
}

const HEAD: [&str; 10] =
    ["provider", "plan", "cpus", "memory", "price a month", "region", "tax", "seen", "age", "source"];
/// Columns that are aligned to the right.
const NUMBERS: [usize; 4] = [2, 3, 4, 8];

fn table(rows: &[&PriceRecord], catalogue: &Catalogue) -> String {
    let mut lines: Vec<[String; 10]> = vec![HEAD.map(str::to_owned)];
    lines.extend(rows.iter().map(|row| columns(row, catalogue)));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
            if NUMBERS.contains(&at) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn columns(row: &PriceRecord, catalogue: &Catalogue) -> [String; 10] {
    let optional = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let kind = match row.dedicated {
        Some(true) => " dedicated",
        Some(false) => " shared",
        None => "",
    };
    let age = catalogue.age(row);
    let days = age.and_then(Age::days);
    let days = days.map_or_else(String::new, |days| format::counted(days.unsigned_abs(), "day", "days"));
    let verdict = match age.map(Age::is_usable) {
        Some(false) => ": not used",
        Some(true) if age.and_then(Age::warning).is_some() => ": old",
        _ => "",
    };
    let hearsay = if row.second_hand { ", second-hand" } else { "" };
    [
        row.provider.clone(),
        row.plan.clone(),
        format!("{}{kind}", format::trimmed(row.cpus)),
        format_bytes(row.memory_bytes),
        format!("{} {}", format::price(row.price), row.currency),
        optional(row.region.as_deref()),
        optional(row.tax.as_deref()),
        row.seen.clone(),
        format!("{days}{verdict}"),
        format!("{}{hearsay}", row.source),
    ]
}

fn import(arguments: &ImportArguments) -> Result<u8> {
    let file = arguments.file.display();
    let defaults = Defaults {
        provider: arguments.provider.clone(),
        currency: arguments.currency.clone(),
        tax: arguments.tax.clone(),
        source: arguments.source.clone().unwrap_or_else(|| file_name(&arguments.file)),
        seen: match &arguments.seen {
            Some(day) => day.clone(),
            None => day_of(&arguments.file)?,
        },
        today: now(),
    };
    let found = import::read(&arguments.file, &defaults)?;
    for fault in found.bad.iter().take(BAD_MAX) {
        eprintln!("error: {file}:{}: {}", fault.line, fault.what);
    }
    if found.bad.len() > BAD_MAX {
        eprintln!("error: and {} more rows", found.bad.len() - BAD_MAX);
    }
    if !found.bad.is_empty() && !arguments.skip_bad {
        eprintln!("nothing was imported (hint: correct these rows, or take the others with --skip-bad)");
        return Ok(FAILED);
    }
    if found.rows.is_empty() {
        anyhow::bail!("{file} has no plan that can be used: nothing was imported");
    }
    let path = write(arguments, &found.rows)?;
    if found.other > 0 {
        eprintln!("{} rows are not about a plain machine with Linux, on demand, and were left out", found.other);
    }
    if !found.unread.is_empty() {
        eprintln!("not read: {}", found.unread.join(", "));
    }
    println!("{}: {}", path.display(), format::counted(found.rows.len() as u64, "plan", "plans"));
    Ok(DONE)
}

/// Writes the rows into a file that is named by the list and the day.
fn write(arguments: &ImportArguments, rows: &[PriceRecord]) -> Result<PathBuf> {
    let stem = arguments.file.file_stem().unwrap_or_default().to_string_lossy();
    let stem = names::safe_name(&stem).unwrap_or_else(|| "list".to_owned());
    let seen = rows.iter().map(|row| row.seen.as_str()).max().unwrap_or_default();
    let path = arguments.into.join(format!("{stem}-{seen}.toml"));
    let text = format!(
        "# Imported by `wsceiling prices import` from {}.\n\n{}",
        file_name(&arguments.file),
        write_prices(rows)?
    );
    std::fs::create_dir_all(&arguments.into).with_context(|| format!("failed to make {}", arguments.into.display()))?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    options.create_new(!arguments.replace);
    let mut out = match options.open(&path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            anyhow::bail!("{} is there already (hint: --replace writes it anew)", path.display())
        }
        opened => opened.with_context(|| format!("failed to write {}", path.display()))?,
    };
    out.write_all(text.as_bytes()).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(path)
}

/// The name without folders and control characters.
fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.chars().filter(|c| !c.is_control()).collect()
}

/// The day on which a file was written (UTC).
fn day_of(path: &Path) -> Result<String> {
    let written = std::fs::metadata(path).and_then(|file| file.modified());
    let written = written.with_context(|| format!("failed to open {}", path.display()))?;
    let moment = jiff::Timestamp::try_from(written)
        .with_context(|| format!("failed to read when {} was written (hint: --seen DAY)", path.display()))?;
    Ok(moment.to_string().chars().take(10).collect())
}
