//! Lists of prices as CSV: one row a plan under a line of names, and AWS's own price list of EC2.

use std::io::BufRead;

use anyhow::{Context, Result, bail};
use csv::{ErrorKind, Position, Reader, ReaderBuilder, StringRecord};
use wsceiling_model::platforms::RowFault;

use super::import::Lines;
use super::row::{Cells, KNOWN, VULTR};

/// Lines before the names at most; AWS has five.
const PREAMBLE: usize = 10;

/// AWS's names of columns (`offers/v1.0/aws/AmazonEC2/current/REGION/index.csv`) -> ours.
const AWS: [(&str, &str); 7] = [
    ("instance type", "plan"),
    ("vcpu", "cpus"),
    ("memory", "memory"),
    ("priceperunit", "price_per_hour"),
    ("currency", "currency"),
    ("region code", "region"),
    ("effectivedate", "valid_from"),
];
/// Columns of AWS's list, and what they have in the row that is the price of a plain machine with Linux, on demand.
const AWS_PLAIN: [(&str, &str); 8] = [
    ("termtype", "ondemand"),
    ("product family", "compute instance"),
    ("operating system", "linux"),
    ("tenancy", "shared"),
    ("pre installed s/w", "na"),
    ("capacitystatus", "used"),
    ("marketoption", "ondemand"),
    ("unit", "hrs"),
];

/// Columns of a list, in lower case.
struct Columns {
    names: Vec<String>,
    of_aws: bool,
}

/// Reads the rows.
///
/// # Errors
/// When the file cannot be read, or no line has the names of the columns.
pub fn rows(mut reader: impl BufRead) -> Result<Lines> {
    let delimiter = delimiter(reader.fill_buf().context("failed to read the list")?);
    let mut builder = ReaderBuilder::new();
    let mut reader = builder.has_headers(false).flexible(true).delimiter(delimiter).from_reader(reader);
    let mut lines = Lines::default();
    let mut columns: Option<Columns> = None;
    let (mut before, mut record) = (0, StringRecord::new());
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                if let ErrorKind::Io(_) = error.kind() {
                    return Err(error).context("failed to read the list");
                }
                let line = error.position().map_or(0, Position::line) as usize;
                lines.bad.push(RowFault { line, what: "it is not UTF-8".to_owned() });
                continue;
            }
        }
        let line = line(&reader, &record);
        let Some(columns) = &columns else {
            columns = Columns::of(&record);
            before += 1;
            match &columns {
                Some(columns) => lines.unread = columns.unread(),
                None if before > PREAMBLE => break,
                None => {}
            }
            continue;
        };
        if record.len() != columns.names.len() {
            let what = format!("it has {} fields, and the line of names {}", record.len(), columns.names.len());
            lines.bad.push(RowFault { line, what });
        } else if let Some(cells) = columns.cells(&record) {
            lines.rows.push((line, cells));
        } else {
            lines.other += 1;
        }
    }
    if columns.is_none() {
        bail!("no line of it names the columns (hint: plan,cpus,memory,price,currency and more, see docs/prices.md)");
    }
    Ok(lines)
}

/// Line that a record begins in. Its own place is before the empty lines that are passed over.
fn line<R: std::io::Read>(reader: &Reader<R>, record: &StringRecord) -> usize {
    let inside: usize = record.iter().map(|field| field.matches('\n').count()).sum();
    let from_end = (reader.position().line() as usize).saturating_sub(1 + inside);
    from_end.max(record.position().map_or(0, Position::line) as usize)
}

/// What stands between the fields: in the first line there is more of it than of the others.
fn delimiter(start: &[u8]) -> u8 {
    let first = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| first.split(|byte| *byte == delimiter).count();
    [b';', b'\t'].into_iter().find(|other| count(*other) > count(b',')).unwrap_or(b',')
}

impl Columns {
    /// The names, if this is the line that has them.
    fn of(record: &StringRecord) -> Option<Self> {
        let names: Vec<String> =
            record.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_ascii_lowercase()).collect();
        let has = |name: &str| names.iter().any(|known| known == name);
        let of_aws = has("instance type") && has("priceperunit");
        (of_aws || has("plan") || has("id")).then_some(Self { names, of_aws })
    }

    /// Names that nobody reads.
    fn unread(&self) -> Vec<String> {
        let unread = self.names.iter().filter(|name| !KNOWN.contains(&name.as_str()) && *name != VULTR);
        if self.of_aws { Vec::new() } else { unread.cloned().collect() }
    }

    /// The cells of a row; `None`: it is not about a plain machine.
    fn cells(&self, record: &StringRecord) -> Option<Cells> {
        let all: Cells = self.names.iter().cloned().zip(record.iter().map(|text| text.trim().to_owned())).collect();
        if !self.of_aws {
            return Some(all);
        }
        let is_plain = AWS_PLAIN.iter().all(|(name, value)| {
            // Columns come and go.
            all.get(*name).is_none_or(|found| found.eq_ignore_ascii_case(value))
        });
        let price: f64 = all.get("priceperunit")?.parse().unwrap_or(f64::NAN);
        if !is_plain || price <= 0.0 {
            return None;
        }
        let mut cells: Cells =
            AWS.iter().filter_map(|(theirs, ours)| Some(((*ours).to_owned(), all.get(*theirs)?.clone()))).collect();
        cells.insert("provider".to_owned(), "aws".to_owned());
        cells.insert("method".to_owned(), "price an hour x 730, on demand, Linux".to_owned());
        Some(cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_names_of_their_columns_and_their_lines() {
        let text = "\u{feff}Plan,CPUs,memory,price,disk\n\"a\n\",2,4GiB,5.49,80\nb,2\nc,4,8GiB,9,160\n";
        let lines = rows(text.as_bytes()).unwrap();
        assert_eq!(lines.rows.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 5]);
        assert_eq!(lines.rows[1].1["cpus"], "4");
        assert_eq!(lines.unread, ["disk"]);
        assert_eq!(lines.bad, [RowFault { line: 4, what: "it has 2 fields, and the line of names 5".into() }]);
        let other = rows("plan;cpus\na;2\n".as_bytes()).unwrap();
        assert_eq!(other.rows[0].1["plan"], "a");
    }

    #[test]
    fn of_awss_list_the_plain_machines_are_read() {
        let names = "SKU,TermType,EffectiveDate,Unit,PricePerUnit,Currency,Product Family,Instance Type,vCPU,Memory,Tenancy,\
                     Operating System,CapacityStatus,Pre Installed S/W,Region Code";
        let row = |term: &str, os: &str, price: &str| {
            format!(
                "X,{term},2026-09-12,Hrs,{price},USD,Compute Instance,c6i.large,2,4 GiB,Shared,{os},Used,NA,eu-west-1"
            )
        };
        let text = format!(
            "\"FormatVersion\",\"v1.0\"\n\"Disclaimer\",\"a, b\"\n{names}\n{}\n{}\n{}\n{}\n",
            row("OnDemand", "Linux", "0.085"),
            row("OnDemand", "Windows", "0.2"),
            row("Reserved", "Linux", "0.05"),
            row("OnDemand", "Linux", "0.0000000000"),
        );
        let lines = rows(text.as_bytes()).unwrap();
        assert_eq!((lines.rows.len(), lines.other, lines.bad.len()), (1, 3, 0));
        let (line, cells) = &lines.rows[0];
        assert_eq!((*line, cells["plan"].as_str(), cells["price_per_hour"].as_str()), (4, "c6i.large", "0.085"));
        assert_eq!((cells["region"].as_str(), cells["provider"].as_str()), ("eu-west-1", "aws"));
    }

    #[test]
    fn what_names_no_column_is_no_list() {
        assert!(rows("<html>\nlogin\n".as_bytes()).unwrap_err().to_string().contains("docs/prices.md"));
        assert!(rows("".as_bytes()).is_err());
        let latin = rows(b"plan,cpus\ngr\xf6n,1\n".as_slice()).unwrap();
        assert_eq!(latin.bad[0].line, 2);
    }
}
