//! Reads phone numbers as the server does, for `check.py`: of each line of the standard input, which is a region and a
//! text with a tab between, it prints the number in E.164, or the name of what is wrong.

use std::io::{BufWriter, Write, stdin, stdout};

use loopin_auth::domain::phone::{PhoneNumber, Region};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = BufWriter::new(stdout().lock());
    for line in stdin().lines() {
        let line = line?;
        let (region, text) = line.split_once('\t').ok_or("a line has no tab")?;
        match PhoneNumber::parse(text, region.parse::<Region>()?) {
            Ok(phone) => writeln!(out, "{}", phone.full())?,
            Err(error) => writeln!(out, "{error:?}")?,
        }
    }
    Ok(())
}
