"""Prints the lines of h100.sh's results.jsonl as a table."""

import json
import sys


def main():
    lines = [json.loads(line) for line in open(sys.argv[1])]
    print(f"{'step':<24}{'tokens':>7}{'tokens/s':>11}{'TFLOP/s':>9}{'of peak':>9}{'device MiB':>12}")
    for line in lines:
        for run in line.get("runs", [line] if "tokens_per_second" in line else []):
            cells = [run["tokens"], f"{run['tokens_per_second']:.1f}"]
            cells.append(f"{run['tflops']:.2f}" if "tflops" in run else "")
            cells.append(f"{run['share_of_peak']:.1%}" if "share_of_peak" in run else "")
            cells.append(f"{run['device_mib']:.0f}" if run.get("device_mib") else "")
            widths = (7, 11, 9, 9, 12)
            print(f"{line['step']:<24}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths)))
        for key, by in (("products_tflops", ""), ("burn_products_tflops", ", burn's own product")):
            for product, tflops in line.get(key, {}).items():
                print(f"{line['step']:<24}{product:>25} {tflops:.2f} TFLOP/s{by}")
        for key in ("passed", "card_peak_mib", "failed", "gradients_to_peft_f32", "peft_bf16_gradients_to_peft_f32"):
            if key in line:
                print(f"{line['step']:<24}{key}: {line[key]}")
        for run in line.get("runs", []):
            show_kernels(line["step"], run)
            if "generation" in run:
                found = run["generation"]
                rates = f"{found['prompt_tokens_per_second']:.0f} tokens/s read, {found['tokens_per_second']:.1f} generated"
                print(f"{line['step']:<24}{found['prompts']} prompts of {run['tokens']}: {rates}")
                show_kernels(line["step"], found)


def show_kernels(step, run):
    if "kernels" not in run:
        return
    kernels = run["kernels"]
    moved = kernels["gb_moved"]
    rate = 1e3 * moved / max(kernels["ms"], 1e-9)
    print(f"{step:<24}{kernels['launches']} launches, {kernels['ms']:.1f} ms, {moved:.1f} GB, {rate:.0f} GB/s")
    for kind in kernels["kinds"]:
        print(f"{'':<22}{kind['ms']:>9.2f} ms {kind['launches']:>7} x {kind['kernel']}")


if __name__ == "__main__":
    main()
