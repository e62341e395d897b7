//! Moving a user to another phone after a lost SIM card: a number and a reason, then the code that the user reads out. The page
//! never shows the code, and nothing of the move is in the URL.

use askama::Template;
use poem::http::StatusCode;
use uuid::Uuid;

use super::{called, find, path_of};
use crate::{
    admin::{Admin, Form, Layout, Notice, PageError, PageResult, Section, Visit},
    domain::{
        account::{Account, Role},
        budget::BudgetExceeded,
        otp::OtpCode,
        phone::PhoneNumber,
        phone_move::{Grounds, MoveReason, Reference},
        roles::{self, AccountPermission},
    },
    flows::{
        self, SendError, SendOutcome, UnreachableReason,
        move_phone::{self, MoveRefused, MoveRequested, Moved},
        verify::CodeRefused,
    },
};

#[derive(Template)]
#[template(path = "person_move.html")]
struct MovePage {
    layout: Layout,
    path: String,
    phone: Value,
    reasons: Vec<Reason>,
    reason_error: Option<String>,
    reference: Value,
    /// What stops the whole form.
    problem: Option<String>,
    /// The block of the number that the account has: it is not moved while it applies.
    block: Option<Uuid>,
}

#[derive(Template)]
#[template(path = "person_move_code.html")]
struct CodePage {
    layout: Layout,
    path: String,
    phone: String,
    reason: &'static str,
    reference: String,
    digits: usize,
    /// What became of the message.
    sent: Option<String>,
    error: Option<String>,
}

/// What was typed into a field, and what is wrong with it.
#[derive(Default)]
struct Value {
    text: String,
    error: Option<String>,
}

struct Reason {
    value: &'static str,
    text: &'static str,
    is_chosen: bool,
}

/// What the first form says, once it is right.
struct Wanted {
    phone: PhoneNumber,
    grounds: Grounds,
}

pub(super) async fn ask(visit: Visit<Admin>) -> PageResult {
    let (account, _) = target(&visit).await?;
    let block = move_phone::find_block(visit.services(), &account).await?.map(|block| block.id);
    let page = MovePage { block, ..MovePage::new(&visit, &account, &Form::default()) };
    visit.page(StatusCode::OK, &page)
}

/// Sends the code, and asks for it.
pub(super) async fn send(visit: Visit<Admin>, form: Form) -> PageResult {
    let (account, permission) = target(&visit).await?;
    let wanted = match read(&visit, &account, &form) {
        Ok(wanted) => wanted,
        Err(page) => return visit.page(StatusCode::UNPROCESSABLE_ENTITY, &*page),
    };
    let (services, phone) = (visit.services(), wanted.phone.clone());
    let outcome = match move_phone::request_code(services, permission, phone).await? {
        MoveRequested::Code(outcome) => outcome,
        MoveRequested::Refused(refused) => return refuse(&visit, &account, &form, refused),
    };
    let sent = match outcome {
        SendOutcome::Sent(sent) => {
            format!("A code is on its way. It is valid for {}.", wait(sent.expires_in))
        }
        SendOutcome::TooSoon { retry_after } => format!(
            "A code was sent to this number a moment ago. The next one can be sent in {}.",
            wait(retry_after)
        ),
        SendOutcome::Refused(exceeded) => return stop(&visit, &account, &form, limit(exceeded)),
        SendOutcome::Failed(failure) => return stop(&visit, &account, &form, not_sent(&failure).to_owned()),
    };
    let page = CodePage { sent: Some(sent), ..CodePage::new(&visit, &account, &wanted) };
    visit.page(StatusCode::OK, &page)
}

/// Takes the code.
pub(super) async fn verify(visit: Visit<Admin>, form: Form) -> PageResult {
    let (account, permission) = target(&visit).await?;
    let wanted = match read(&visit, &account, &form) {
        Ok(wanted) => wanted,
        Err(page) => return visit.page(StatusCode::UNPROCESSABLE_ENTITY, &*page),
    };
    let again = |error: String| {
        let page = CodePage { error: Some(error), ..CodePage::new(&visit, &account, &wanted) };
        visit.page(StatusCode::UNPROCESSABLE_ENTITY, &page)
    };
    // The user reads the digits in groups.
    let typed: String = form.text("code").chars().filter(|c| !c.is_whitespace()).collect();
    let code = match OtpCode::parse(&typed, visit.services().otp.length) {
        Ok(code) => code,
        Err(error) => return again(error.to_string()),
    };
    let (phone, grounds) = (wanted.phone.clone(), wanted.grounds.clone());
    let moved = move_phone::verify(visit.services(), permission, phone, code, grounds, visit.from()).await;
    if let Err(flows::Error::Blocked) = moved {
        return again("This number or your address is blocked: see the page of blocks.".to_owned());
    }
    match moved? {
        Moved::Done { ended } => {
            let text = format!(
                "The user has the new number. {ended} sessions were ended, and the old number gets a notice."
            );
            visit.redirect(&path_of(account.id), Notice::done(text))
        }
        Moved::Refused(refused) => refuse(&visit, &account, &form, refused),
        Moved::Code(refused) => again(wrong(refused)),
    }
}

/// The account of the page. Accounts of staff are not moved.
async fn target(visit: &Visit<Admin>) -> Result<(Account, AccountPermission), PageError> {
    let account = find(visit, visit.who()).await?.account;
    let permission = roles::may_administer(visit.who(), account.id, visit.from());
    match permission {
        Ok(permission) if account.role == Role::User => Ok((account, permission)),
        Ok(_) | Err(roles::Forbidden) => Err(PageError::Forbidden),
    }
}

/// Reads the first form; otherwise the page that says what is wrong with it.
fn read(visit: &Visit<Admin>, account: &Account, form: &Form) -> Result<Wanted, Box<MovePage>> {
    let phone = PhoneNumber::parse(form.text("phone"), visit.services().region);
    let reference = Reference::parse(form.text("reference"));
    let reason = MoveReason::parse(form.text("reason"));
    let needs_reference = reason == Some(MoveReason::Other) && reference == Ok(None);
    match (phone, reason, reference) {
        (Ok(phone), Some(reason), Ok(reference)) if !needs_reference => {
            Ok(Wanted { phone, grounds: Grounds { reason, reference } })
        }
        (phone, reason, reference) => {
            let mut page = MovePage::new(visit, account, form);
            page.phone.error = phone.err().map(|error| error.to_string());
            page.reason_error = reason.is_none().then(|| "Choose a reason".to_owned());
            page.reference.error = match reference {
                Err(error) => Some(error.to_string()),
                Ok(_) if needs_reference => {
                    Some("Another reason needs a reference that explains it".to_owned())
                }
                Ok(_) => None,
            };
            Err(Box::new(page))
        }
    }
}

fn refuse(visit: &Visit<Admin>, account: &Account, form: &Form, refused: MoveRefused) -> PageResult {
    let error = match refused {
        MoveRefused::NotFound => return Err(PageError::NotFound),
        MoveRefused::StaffAccount => return Err(PageError::Forbidden),
        MoveRefused::Deactivated => {
            let problem = "This account is deactivated. Activate it first, then move it.".to_owned();
            return stop(visit, account, form, problem);
        }
        MoveRefused::Blocked(block) => {
            let page = MovePage { block: Some(block), ..MovePage::new(visit, account, form) };
            return visit.page(StatusCode::CONFLICT, &page);
        }
        MoveRefused::Own => "The account has this number already",
        MoveRefused::Taken => "Another account has this number. Search for the number to see which one",
    };
    let mut page = MovePage::new(visit, account, form);
    page.phone.error = Some(error.to_owned());
    visit.page(StatusCode::CONFLICT, &page)
}

fn stop(visit: &Visit<Admin>, account: &Account, form: &Form, problem: String) -> PageResult {
    let page = MovePage { problem: Some(problem), ..MovePage::new(visit, account, form) };
    visit.page(StatusCode::CONFLICT, &page)
}

impl MovePage {
    fn new(visit: &Visit<Admin>, account: &Account, form: &Form) -> Self {
        let value = |name| Value { text: form.text(name).to_owned(), error: None };
        Self {
            layout: visit.layout(title(account), Section::People),
            path: path_of(account.id),
            phone: value("phone"),
            reasons: MoveReason::ALL.map(|reason| self::reason(reason, form.text("reason"))).into(),
            reason_error: None,
            reference: value("reference"),
            problem: None,
            block: None,
        }
    }
}

impl CodePage {
    fn new(visit: &Visit<Admin>, account: &Account, wanted: &Wanted) -> Self {
        let reference = wanted.grounds.reference.as_ref();
        Self {
            layout: visit.layout(title(account), Section::People),
            path: path_of(account.id),
            phone: wanted.phone.full().to_owned(),
            reason: wanted.grounds.reason.as_str(),
            reference: reference.map(ToString::to_string).unwrap_or_default(),
            digits: visit.services().otp.length.digits(),
            sent: None,
            error: None,
        }
    }
}

fn title(account: &Account) -> String {
    format!("Move to another phone: {}", called(account))
}

fn reason(reason: MoveReason, chosen: &str) -> Reason {
    let text = match reason {
        MoveReason::LostSim => "The SIM card is lost or broken",
        MoveReason::StolenPhone => "The phone was stolen",
        MoveReason::NewNumber => "New number, the old one no longer works",
        MoveReason::Other => "Another reason (give a reference)",
    };
    Reason { value: reason.as_str(), text, is_chosen: reason.as_str() == chosen }
}

/// A number of seconds, in words.
fn wait(seconds: i64) -> String {
    let minutes = (seconds + 59) / 60;
    match seconds {
        1 => "1 second".to_owned(),
        ..120 => format!("{seconds} seconds"),
        120..7200 => format!("{minutes} minutes"),
        7200.. => format!("{} hours", (minutes + 59) / 60),
    }
}

fn limit(exceeded: BudgetExceeded) -> String {
    let what = "This number has reached a limit, so no code was sent.";
    match exceeded.retry_after {
        Some(seconds) => format!("{what} Try again in {}.", wait(seconds)),
        None => format!("{what} Wrong codes locked it: unlock it on the page of the number."),
    }
}

fn not_sent(failure: &SendError) -> &'static str {
    match failure {
        SendError::Unreachable { reason: UnreachableReason::Blocked, provider_code: None } => {
            "The new number is blocked, by an admin, the settings or the operator's check before sending. Search for it to see why."
        }
        SendError::Unreachable { .. } => {
            "The number cannot get messages. Check the digits, and whether the phone can receive SMS."
        }
        SendError::Rejected { .. } => "The SMS provider refuses our messages. Tell the operator.",
        SendError::Unavailable { .. } => "The SMS provider does not answer. Try again in a minute.",
    }
}

fn wrong(refused: CodeRefused) -> String {
    match refused {
        CodeRefused::NoneRequested => "No code is waiting for this number. Send a new one.".to_owned(),
        CodeRefused::Expired => "This code is too old. Send a new one.".to_owned(),
        CodeRefused::Wrong { left: 0 } => {
            "This is not the code, and no attempt is left. Send a new one.".to_owned()
        }
        CodeRefused::Wrong { left: 1 } => "This is not the code. 1 attempt is left.".to_owned(),
        CodeRefused::Wrong { left } => format!("This is not the code. {left} attempts are left."),
        CodeRefused::Exhausted { retry_after } => {
            format!("No attempt is left. A new code can be sent in {}.", wait(retry_after))
        }
        CodeRefused::Budget(exceeded) => match exceeded.retry_after {
            Some(seconds) => format!("Too many wrong codes. Try again in {}.", wait(seconds)),
            None => {
                "Too many wrong codes: the number is locked. Unlock it on the page of the number.".to_owned()
            }
        },
    }
}
