//! Lines of CSV files (RFC 4180) that people open in spreadsheet programs.
//!
//! A cell that a spreadsheet program would run as a formula gets an apostrophe in front, as OWASP's page on CSV injection says,
//! and every cell is quoted. There is no exception for phone numbers, which begin with a plus: a program that reads the file
//! removes one leading apostrophe, and a rule with exceptions would have to be trusted for each of them.

/// UTF-8's byte order mark. Without it Excel reads a file in the encoding of the computer, and breaks names.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Characters that begin a formula, with their full-width forms.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Characters that can end a cell, so that a formula begins a new one.
const ENDS_CELL: [char; 3] = ['\t', '\r', '\n'];

/// A line of cells, with its line end.
#[must_use]
pub fn line<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for cell in cells {
        if !line.is_empty() {
            line.push(',');
        }
        line.push('"');
        if runs(cell) {
            line.push('\'');
        }
        line.push_str(&cell.replace('"', "\"\""));
        line.push('"');
    }
    line.push_str("\r\n");
    line
}

/// Whether a spreadsheet program might run the cell: programs ignore blanks and invisible characters before a formula.
fn runs(cell: &str) -> bool {
    let begins_badly = cell.starts_with(ENDS_CELL);
    let first = cell.chars().find(|c| !is_blank(*c));
    begins_badly || first.is_some_and(|first| FORMULA.contains(&first))
}

fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_quoted_and_ends_as_the_rfc_says() {
        assert_eq!(line(["a", "", "b c"]), "\"a\",\"\",\"b c\"\r\n");
        assert_eq!(line([""]), "\"\"\r\n");
        assert_eq!(
            line(["say \"hi\"", "one, two", "two\nlines"]),
            "\"say \"\"hi\"\"\",\"one, two\",\"two\nlines\"\r\n"
        );
    }

    #[test]
    fn what_a_spreadsheet_would_run_is_made_text() {
        for cell in [
            "=1+1",
            "+916205829376",
            "-2",
            "@SUM(1)",
            "\t=1",
            "\r=1",
            "\n=1",
            "\tplain",
            " =1",
            "\u{a0}\u{3000}=1",
            "\u{200b}=1",
            "\u{feff}+1",
            "\u{202e}=1",
            "＝1",
            "＋1",
            "－1",
            "＠SUM(1)",
            "=HYPERLINK(\"https://example.com\",\"x\")",
            "=cmd|' /C calc'!A0",
        ] {
            let harmless = format!("\"'{}\"\r\n", cell.replace('"', "\"\""));
            assert_eq!(line([cell]), harmless, "{cell:?}");
        }
        for cell in ["", " ", "Asha", "1", "a=b", "'=1", "(=1", "2026-03-14", "आशा", "محمد", "<script>"]
        {
            assert_eq!(line([cell]), format!("\"{cell}\"\r\n"), "{cell:?}");
        }
    }

    #[test]
    fn a_first_cell_without_text_is_still_a_cell() {
        assert_eq!(line(["", "a"]), "\"\",\"a\"\r\n");
    }
}
