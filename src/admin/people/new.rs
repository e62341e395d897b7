//! A new account for a person whose phone is known to be proved.

use askama::Template;
use poem::http::StatusCode;

use super::path_of;
use crate::{
    admin::{Admin, Form, Layout, Notice, PageResult, Section, Visit},
    domain::{
        credentials::{Email, PersonName, Username},
        phone::PhoneNumber,
    },
    flows::users::{self, NewPerson, NotCreated},
};

/// The fields: name, label, kind.
const FIELDS: [(&str, &str, &str); 5] = [
    ("phone", "Phone number", "tel"),
    ("username", "Username", "text"),
    ("first_name", "First name", "text"),
    ("last_name", "Last name", "text"),
    ("email", "E-mail address", "email"),
];

#[derive(Template)]
#[template(path = "person_new.html")]
struct NewPage {
    layout: Layout,
    fields: [Field; 5],
}

struct Field {
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    value: String,
    error: Option<String>,
}

pub(super) async fn ask(visit: Visit<Admin>) -> PageResult {
    show(&visit, &Form::default(), StatusCode::OK, [const { None }; 5])
}

pub(super) async fn create(visit: Visit<Admin>, form: Form) -> PageResult {
    let mut errors = [const { None }; 5];
    let Some(person) = read(&visit, &form, &mut errors) else {
        return show(&visit, &form, StatusCode::UNPROCESSABLE_ENTITY, errors);
    };
    let (place, sentence) = match users::create(visit.services(), person, visit.permission()).await? {
        Ok(user) => {
            let notice = Notice::done("The account is made. Its owner logs in with a code.");
            return visit.redirect(&path_of(user.account.id), notice);
        }
        Err(NotCreated::PhoneTaken) => (0, "Another account has this number"),
        Err(NotCreated::Blocked) => (0, "This number is blocked: end the block first"),
        Err(NotCreated::ReviewNumber) => {
            (0, "This number is for app review: only its fixed code makes its account")
        }
        Err(NotCreated::UsernameTaken) => (1, "Another account has this username"),
        Err(NotCreated::EmailTaken) => (4, "Another account has this e-mail address"),
    };
    if let Some(error) = errors.get_mut(place) {
        *error = Some(sentence.to_owned());
    }
    show(&visit, &form, StatusCode::CONFLICT, errors)
}

fn read(visit: &Visit<Admin>, form: &Form, errors: &mut [Option<String>; 5]) -> Option<NewPerson> {
    let region = visit.services().region;
    let [of_phone, of_username, of_first, of_last, of_email] = errors;
    let phone = form.given("phone").map(|text| PhoneNumber::parse(text, region)).transpose();
    let phone = phone.map_err(|error| *of_phone = Some(error.to_string())).ok();
    let username = form.given("username").map(Username::parse).transpose();
    let username = username.map_err(|error| *of_username = Some(error.to_string())).ok();
    let first_name = PersonName::parse(form.text("first_name"));
    let first_name = first_name.map_err(|error| *of_first = Some(error.to_string())).ok();
    let last_name = PersonName::parse(form.text("last_name"));
    let last_name = last_name.map_err(|error| *of_last = Some(error.to_string())).ok();
    let email = form.given("email").map(Email::parse).transpose();
    let email = email.map_err(|error| *of_email = Some(error.to_string())).ok();
    if form.given("phone").is_none() && form.given("username").is_none() {
        *of_phone = Some("Name a phone number or a username".to_owned());
        return None;
    }
    Some(NewPerson {
        phone: phone?,
        username: username?,
        first_name: first_name?,
        last_name: last_name?,
        email: email?,
    })
}

fn show(visit: &Visit<Admin>, form: &Form, status: StatusCode, errors: [Option<String>; 5]) -> PageResult {
    let mut errors = errors.into_iter();
    let fields = FIELDS.map(|(name, label, kind)| Field {
        name,
        label,
        kind,
        value: form.text(name).to_owned(),
        error: errors.next().flatten(),
    });
    visit.page(status, &NewPage { layout: visit.layout("New account", Section::People), fields })
}
