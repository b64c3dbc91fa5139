//! Coverage: how many instructions and blocks each address space of a trace executed, as JSON.

use std::{
    collections::{BTreeMap, HashSet},
    error::Error,
    ffi::CStr,
    io::{self, Write as _},
};

use panda_plugin::{Argument, Arguments, Callback, Cpu, Output, Panda, Plugin, argument};
use serde_json::{Value, json};

/// What one address space executed.
#[derive(Default)]
struct Executed {
    instructions: u64,
    /// Block executions.
    blocks: u64,
    /// The addresses of the blocks that were executed.
    distinct: HashSet<u64>,
}

/// The plugin.
pub struct Coverage {
    output: Output,
    by_asid: BTreeMap<u64, Executed>,
    /// The block that is being executed.
    running: Option<Running>,
}

/// A block that has been entered.
struct Running {
    asid: u64,
    begin: u64,
    /// Instructions executed before it.
    before: u64,
}

impl Coverage {
    /// Ends the running block; `instructions` have been executed by now.
    fn account(&mut self, instructions: u64) {
        let Some(Running { asid, begin, before }) = self.running.take() else { return };
        // When its main loop wants to run, PANDA leaves a block before its first instruction, and re-enters it.
        if instructions > before {
            let executed = self.by_asid.entry(asid).or_default();
            executed.instructions += instructions - before;
            executed.blocks += 1;
            executed.distinct.insert(begin);
        }
    }

    fn report(&self) -> Value {
        let mut asids: Vec<_> = self.by_asid.iter().collect();
        asids.sort_by_key(|(_, executed)| std::cmp::Reverse(executed.instructions));
        let asids: Vec<_> = asids
            .iter()
            .map(|(asid, executed)| {
                json!({
                    "asid": format!("{asid:#x}"),
                    "instructions": executed.instructions,
                    "blocks": executed.blocks,
                    "distinct_blocks": executed.distinct.len(),
                })
            })
            .collect();
        let instructions: u64 = self.by_asid.values().map(|executed| executed.instructions).sum();
        json!({
            "schema": "pandacap.coverage",
            "version": 1,
            "instructions": instructions,
            "asids": asids,
        })
    }

    fn write(mut self) -> io::Result<()> {
        let report = self.report();
        log::info!("{} instructions in {} address spaces", report["instructions"], self.by_asid.len());
        writeln!(self.output, "{report:#}")?;
        self.output.keep()
    }
}

impl Plugin for Coverage {
    const NAME: &'static CStr = c"coverage";
    const ARGUMENTS: &'static [Argument] = &[argument("out", "coverage.json", "file for the result")];
    const CALLBACKS: &'static [Callback] = &[Callback::Block];

    fn load(arguments: &Arguments) -> Result<Coverage, Box<dyn Error>> {
        let output = Output::create(&arguments.path("out")?)?;
        Ok(Coverage { output, by_asid: BTreeMap::new(), running: None })
    }

    fn before_block(&mut self, cpu: Cpu<'_>) {
        let before = cpu.instructions();
        self.account(before);
        self.running = Some(Running { asid: cpu.asid(), begin: cpu.program_counter(), before });
    }

    fn unload(mut self, panda: &Panda) {
        self.account(panda.instructions());
        if let Err(error) = self.write() {
            log::error!("the result can't be written: {error}");
        }
    }
}

panda_plugin::export!(Coverage);
