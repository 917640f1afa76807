//! `load.message`: what each connection sends, and how often.

use super::table::{Table, set};
use super::value::{HOUR, MS, bytes, duration, number, one_of};
use crate::matrix::diagnostics::Diagnostic;
use crate::matrix::units::format_bytes;
use crate::matrix::{Message, Portion};

/// Most sizes of a mix.
const MOST_PORTIONS: usize = 64;
/// Smallest share: one message in a million.
const LEAST_SHARE: f64 = 1e-6;
/// How far the shares of a mix may be from 1, so that thirds can be written as 0.333.
const TOLERANCE: f64 = 0.0011;

pub(super) fn message(mut table: Table<'_, '_>, message: &mut Message) {
    let size = table.get("bytes", bytes(1, Message::BYTES_MAX)).map(|bytes| bytes as u32);
    if table.is_table("every") {
        if let Some(below) = table.table("every") {
            think_time(below, message);
        }
    } else {
        set(&mut message.every, table.get("every", duration(MS, HOUR)));
    }
    let portions = mix(&mut table);
    if let (Some(span), true) = (table.key_span("bytes"), table.has("mix")) {
        let fault = Diagnostic::new("`load.message` has both `bytes` and `mix`").at(span).label("one of both");
        table.sink().fault(fault.hint("keep `bytes` for messages of one size, or `mix` for several"));
    }
    set(&mut message.bytes, size);
    if !portions.is_empty() {
        let mean: f64 = portions.iter().map(|portion| f64::from(portion.bytes) * portion.share).sum();
        message.bytes = mean.ceil() as u32;
        message.mix = portions;
    }
    table.finish();
}

fn think_time(mut table: Table<'_, '_>, message: &mut Message) {
    if !table.has("mean") {
        let fault = Diagnostic::new("`load.message.every` has no `mean`").at(table.place.span.clone());
        table.sink().fault(fault.label("how often?").hint("add `mean = \"5s\"`"));
    }
    set(&mut message.every, table.get("mean", duration(MS, HOUR)));
    set(&mut message.spread, table.get("spread", one_of));
    table.finish();
}

/// The portions, with shares that add up to exactly 1; empty where there are none or something was reported.
fn mix(table: &mut Table<'_, '_>) -> Vec<Portion> {
    let sink = table.sink();
    let before = sink.faults();
    let key = table.key_span("mix");
    let empty = table.is_empty_list("mix");
    let mut portions = Vec::new();
    for mut each in table.tables("mix") {
        let size = each.get_at("bytes", bytes(1, Message::BYTES_MAX));
        let share = each.get("share", number(LEAST_SHARE, 1.0));
        for key in ["bytes", "share"].into_iter().filter(|key| !each.has(key)) {
            let fault = Diagnostic::new(format!("`{}` has no `{key}`", each.place.path));
            let fault = fault.at(each.place.span.clone()).label("needs `bytes` and `share`");
            sink.fault(fault.hint("write it as `{ bytes = 64, share = 0.9 }`"));
        }
        if let (Some(size), Some(share)) = (size, share) {
            let (span, size) = (size.span(), size.into_inner() as u32);
            if portions.iter().any(|portion: &Portion| portion.bytes == size) {
                let fault =
                    Diagnostic::new(format!("`load.message.mix` has {} twice", format_bytes(size.into()))).at(span);
                sink.fault(fault.hint("add the shares up in one of them"));
            }
            portions.push(Portion { bytes: size, share });
        }
        each.finish();
    }
    let Some(key) = key.filter(|_| sink.faults() == before) else { return Vec::new() };
    let sum: f64 = portions.iter().map(|portion| portion.share).sum();
    if empty || portions.len() > MOST_PORTIONS {
        let fault = Diagnostic::new(format!("`load.message.mix` has {} sizes", portions.len())).at(key);
        sink.fault(fault.label(format!("from 1 to {MOST_PORTIONS}")).hint("`bytes` alone is for messages of one size"));
        return Vec::new();
    }
    if (sum - 1.0).abs() > TOLERANCE {
        let fault = Diagnostic::new("the shares of `load.message.mix` do not add up to 1").at(key);
        let rounded = (sum * 1e6).round() / 1e6;
        sink.fault(fault.label(format!("they add up to {rounded}")).hint("shares are parts of 1: 0.9 is 90 %"));
        return Vec::new();
    }
    for portion in &mut portions {
        portion.share /= sum;
    }
    portions
}
