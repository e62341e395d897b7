//! Setting up a second factor with an enrolment link. The link is the only gate: who has it can set up the factor, but needs the
//! password to sign in.

use askama::Template;
use poem::http::StatusCode;
use qrcode::{QrCode, render::svg};
use secrecy::{ExposeSecret, SecretString};

use super::{Console, Form, Guest, Layout, PageResult, Section, Visit};
use crate::{
    domain::second_factor::{EnrolmentToken, FactorCode, FactorSecret, RecoveryCode},
    flows::second_factor::{self, Enrolled, Offer},
};

/// The width of the QR code in pixels.
const QR_PIXELS: u32 = 240;

/// The letters of a group of the key, as it is shown.
const GROUP: usize = 4;

/// The pages of this file.
pub fn pages(console: Console) -> Console {
    console.get("/admin/enroll/:token", show).post("/admin/enroll/:token", enrol)
}

#[derive(Template)]
#[template(path = "enroll.html")]
struct Enroll<'a> {
    layout: Layout,
    action: &'a str,
    name: &'a str,
    qr: String,
    secret: String,
    error: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "enroll_done.html")]
struct Done {
    layout: Layout,
    codes: Vec<String>,
}

#[derive(Template)]
#[template(path = "enroll_over.html")]
struct Over<'a> {
    layout: Layout,
    text: &'a str,
}

async fn show(visit: Visit<Guest>) -> PageResult {
    match EnrolmentToken::parse(visit.path("token")) {
        Some(token) => offered(&visit, &token, StatusCode::OK, None).await,
        None => over(&visit, &Offer::Unknown),
    }
}

/// The form with the secret, while the link works.
async fn offered(
    visit: &Visit<Guest>,
    token: &EnrolmentToken,
    status: StatusCode,
    error: Option<&str>,
) -> PageResult {
    match second_factor::offer(visit.services(), token).await? {
        Offer::Live { secret, name } => {
            let layout = visit.layout("Set up your second factor", Section::None);
            let uri = secret.uri(visit.services().texts.product(), &name);
            let (action, qr, secret) = (token.path(), qr(&uri), grouped(&secret));
            let action = action.expose_secret();
            visit.page(status, &Enroll { layout, action, name: &name, qr, secret, error })
        }
        gone => over(visit, &gone),
    }
}

async fn enrol(visit: Visit<Guest>, form: Form) -> PageResult {
    let Some(token) = EnrolmentToken::parse(visit.path("token")) else {
        return over(&visit, &Offer::Unknown);
    };
    let Ok(code) = FactorCode::parse(form.text("code")) else {
        let error = "Type the 6 digits that the app shows.";
        return offered(&visit, &token, StatusCode::UNPROCESSABLE_ENTITY, Some(error)).await;
    };
    match second_factor::enrol(visit.services(), token.clone(), code, visit.from()).await? {
        Enrolled::Done(codes) => {
            let layout = visit.layout("Your recovery codes", Section::None);
            // The session of this browser, if there was one, has ended.
            let layout = Layout { viewer: None, ..layout };
            let codes = codes.iter().map(RecoveryCode::shown).collect();
            visit.page(StatusCode::OK, &Done { layout, codes })
        }
        Enrolled::WrongCode => {
            let error = "This is not the code for this key. Type the newest code of the app, and check that the time of \
                         your phone is right.";
            offered(&visit, &token, StatusCode::UNPROCESSABLE_ENTITY, Some(error)).await
        }
        Enrolled::Over(offer) => over(&visit, &offer),
    }
}

/// The page of a link that does not work.
fn over(visit: &Visit<Guest>, offer: &Offer) -> PageResult {
    let (status, text) = match offer {
        Offer::Used => (
            StatusCode::GONE,
            "This link was used already. If it was not you who used it, tell an admin at once. If you need a new link, ask an \
             admin to reset your second factor.",
        ),
        Offer::Expired => {
            (StatusCode::GONE, "This link has expired: links work for 24 hours. Ask an admin for a new one.")
        }
        Offer::Unknown | Offer::Live { .. } => (
            StatusCode::NOT_FOUND,
            "This link does not work. Check that you copied all of it. A newer link may have replaced it, or the account may not \
             need a second factor any more. Ask an admin.",
        ),
    };
    let layout = visit.layout("This link does not work", Section::None);
    visit.page(status, &Over { layout, text })
}

/// The QR code as an element of HTML. Without one the user types the key.
fn qr(uri: &SecretString) -> String {
    let Ok(code) = QrCode::new(uri.expose_secret()) else { return String::new() };
    let image = code.render::<svg::Color<'_>>().min_dimensions(QR_PIXELS, QR_PIXELS).build();
    let element = image.find("<svg").and_then(|start| image.get(start..)).unwrap_or_default();
    element.replacen("<svg", "<svg role=\"img\" aria-label=\"QR code of the key below\"", 1)
}

/// The key in groups, for typing.
fn grouped(secret: &FactorSecret) -> String {
    let letters: Vec<char> = secret.base32().chars().collect();
    let groups: Vec<String> = letters.chunks(GROUP).map(|group| group.iter().collect()).collect();
    groups.join(" ")
}
