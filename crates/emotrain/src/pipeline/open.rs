//! The first phase of a run: the model's files and the bank, opened, and with them a data file made samples.

use emotrain_data::{LabelSet, SplitKind};
use emotrain_hub::Base;
use emotrain_recipe::Recipe;

use super::auxiliary::Auxiliary;
use super::content::Content;
use super::demonstrations::{Library, find};
use super::encoded_split::EncodedSplit;
use super::knowledge::KnowledgeTexts;
use super::sample_maker::{SampleMaker, Selection, Shown};
use super::{Prepared, Purpose};
use crate::exit::Problems;
use crate::shell::Shell;

impl<'a> Prepared<'a> {
    /// All that the recipe names but its data; `trains` says whether training files will be read.
    ///
    /// # Errors
    /// Everything that is wrong, in one go.
    pub(super) fn open(
        recipe: &'a Recipe,
        labels: LabelSet,
        trains: bool,
        shell: &Shell,
    ) -> anyhow::Result<Self> {
        let mut problems = Problems::default();
        let base = problems.take(Base::find(&recipe.model, shell.hub()));
        let description = base.as_ref().and_then(|base| problems.take(base.description()));
        description.iter().flat_map(|found| &found.warnings).for_each(|warning| shell.printer.warn(warning));
        let tokenizer = base.as_ref().and_then(|base| problems.take(base.tokenizer()));
        let maker = tokenizer.as_ref().map(|files| SampleMaker::new(recipe, &labels, files.clone()));
        let maker = maker.and_then(|maker| problems.take(maker));
        let warnings = maker.iter().flat_map(|maker| maker.tokenizer().warnings());
        warnings.for_each(|warning| shell.printer.warn(warning));
        let auxiliary = maker.as_ref().filter(|_| trains).map(|maker| maker.auxiliary(recipe));
        let auxiliary: Option<Vec<Auxiliary>> = problems.take(auxiliary.unwrap_or(Ok(Vec::new())));
        let library = problems.take(Library::open(recipe, shell));
        let model = base.zip(description).zip(tokenizer.zip(maker));
        let (Some(((base, description), (tokenizer, sample_maker))), Some(auxiliary), Some(library)) =
            (model, auxiliary, library)
        else {
            return Err(problems.into_error());
        };
        let config = description.config;
        let (materials, course) = (Vec::new(), None);
        Ok(Self {
            recipe,
            labels,
            base,
            config,
            tokenizer,
            sample_maker,
            auxiliary,
            library,
            materials,
            course,
        })
    }

    /// The samples of a data file, with what the bank and the knowledge sources have for its utterances.
    ///
    /// # Errors
    /// Those of `known`; a search that fails; every utterance that cannot be encoded.
    pub(crate) fn read(
        &self,
        (name, content): (SplitKind, Content),
        known: anyhow::Result<KnowledgeTexts>,
        (purpose, selection): (Purpose, Selection<'_>),
    ) -> anyhow::Result<EncodedSplit> {
        let mut problems = Problems::default();
        let found = problems.take(find(self.recipe, &self.labels, self.library.as_ref(), (&content, name)));
        let (Some(found), Some(known)) = (found, problems.take(known)) else {
            return Err(problems.into_error());
        };
        let shown = Shown { found: found.as_ref(), known: &known };
        let samples = self.sample_maker.encode(&content, shown, selection)?;
        Ok(EncodedSplit { name, purpose, content, found, known, samples })
    }
}
