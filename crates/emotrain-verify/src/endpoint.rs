//! A running server under test: whether it answers as the run does, and whether it renders the same prompts.

mod asking;
mod probe;
mod verdict;

use emotrain_ask::{ServedAddress, ServedModel};
use emotrain_base::Complaint;
use emotrain_data::{Label, SplitKind};
use emotrain_eval::{Agreement, AgreementLimits, EvalError, LabelAnswers, LabelRows};
use emotrain_hub::Trained;
use emotrain_model::{CausalLm, FloatType, device};
use emotrain_prepare::Prepared;
use emotrain_recipe::{EvalSection, OutputType};
use emotrain_train::{AnswerReader, EvalContext, TrainError, ask};

use self::asking::{Answered, Route};
use self::probe::Probe;
use self::verdict::{RouteResult, of_server};
use crate::asked::Asked;
use crate::error::VerifyError;
use crate::options::{LoadType, VerifyContext, VerifyOptions};
use crate::verdict::{Verdict, limits};

/// Compares a running server with OpenAI's interface.
///
/// # Errors
/// A run that cannot be loaded, a server that cannot be asked.
pub fn verify_endpoint(
    address: ServedAddress<'_>,
    options: &VerifyOptions<'_>,
    context: VerifyContext<'_>,
) -> Result<Verdict, VerifyError> {
    let trained = Trained::of_run(options.run)?;
    let (recipe, untrained) = options.recipe(&trained)?;
    let prepared = Prepared::new(&recipe, &[SplitKind::Valid], context.hub())?;
    if let Some(present) = prepared.opened.contract()? {
        trained.check_contract(&present, context.listener)?;
    }
    let Prepared { opened, splits } = prepared;
    let (Some(encoder), [split]) = (opened.encoder(), &splits[..]) else {
        return Err(Complaint::usage("data.format = \"text\" has no labels to compare").into());
    };
    let probe = Probe::new(encoder, split)?;
    if probe.truth.is_empty() {
        let message = format!("{}: no utterance has a label", split.content.path().display());
        return Err(Complaint::input(message).hint("name a file with labels: --set data.valid=FILE").into());
    }

    // The server first: what is wrong with the address is found before a model is loaded.
    let model = ServedModel::new(address, context.variable, context.listener)?;
    let answers = [Route::Completions, Route::Chat].map(|route| route.ask(&model, &probe, context.listener));
    let [completions, chat] = answers;
    let routes: Vec<Answered> = [completions?, chat?].into_iter().flatten().collect();
    if routes.is_empty() {
        let message = format!(
            "{}: has neither /completions nor /chat/completions for a model \"{}\"",
            address.base_url, address.model
        );
        let hint = "--endpoint ends before /completions (often in /v1); --model is the server's own name";
        return Err(Complaint::input(message).hint(hint).into());
    }

    let on = device::open(&recipe.model.device, recipe.model.dtype)?;
    let terms = EvalContext { section: &recipe.eval, labels: &opened.labels, listener: context.listener };
    let asked = Asked { recipe: &recipe, questions: &probe.labels, terms, context };
    let local = LocalProbe { probe: &probe, reader: AnswerReader::new(encoder), terms };
    let (run, base) = asked.of_run(&trained, &untrained, &on, &|model, what| local.ask(model, what))?;

    let served_in = options.dtype.unwrap_or(LoadType::Float(FloatType::Bf16));
    let limits = limits(options.tolerance, served_in.significand_bits());
    let results = routes.into_iter().map(|route| {
        let agreement = compare(&route, &probe, &run, base.as_ref(), limits)?;
        Ok(RouteResult::new(&route, &probe, agreement))
    });
    let routes: Vec<RouteResult> = results.collect::<Result<_, VerifyError>>()?;
    Ok(of_server(address.model, &routes))
}

/// What a model of this machine answered: the classes' log-probabilities, and the labels of its greedy answers.
struct Local {
    rows: Vec<Vec<f32>>,
    labels: Vec<Option<Label>>,
}

/// How a model of this machine is asked.
struct LocalProbe<'a> {
    terms: EvalContext<'a>,
    probe: &'a Probe,
    reader: AnswerReader,
}

impl LocalProbe<'_> {
    fn ask(&self, model: &CausalLm, what: &str) -> Result<Local, TrainError> {
        let Self { terms, probe, reader } = self;
        let scored = ask(model, &probe.classes, None, what, *terms)?.0;
        let section = EvalSection { output_type: OutputType::GenerateUntil, ..terms.section.clone() };
        let terms = EvalContext { section: &section, ..*terms };
        let labels = ask(model, &probe.labels, Some(reader), what, terms)?.1;
        Ok(Local { rows: scored.into_iter().map(|one| one.log_probs).collect(), labels })
    }
}

/// A route's answers beside those of the run and its base.
fn compare(
    route: &Answered,
    probe: &Probe,
    run: &Local,
    base: Option<&Local>,
    limits: AgreementLimits,
) -> Result<Agreement, EvalError> {
    let served = route.rows(probe);
    if !served.tell(&run.rows) {
        let export = &route.labels(probe);
        let base = base.map(|base| &base.labels[..]);
        let (truth, run, labels) = (&probe.truth, &run.labels, probe.count());
        return Agreement::of_labels(LabelAnswers { truth, run, export, base, labels }, limits);
    }
    let truth: Vec<Label> = probe.truth.iter().map(|label| probe.class(*label)).collect();
    let run = served.limited(&run.rows);
    let base = base.map(|base| served.limited(&base.rows));
    let rows = LabelRows { truth: &truth, run: &run, export: &served.rows, base: base.as_deref() };
    Agreement::of(rows, limits)
}
