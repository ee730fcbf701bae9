// Judges histories of octroi under faults with porcupine: is there one order of all operations, each
// between its call and its return, that a single ledger could have answered so?
//
//	linear [-for 20s] [-draw file.html] < history
//
// A history is one JSON object a line (see `operation`), an operation without `return` never ended:
// it may have happened at any time after its call, or not at all. Each key is a history of its own.
// Prints one JSON object: the verdict ("ok", "illegal", "unknown" when the time was too short), what
// was judged, and the keys that were not ok. Exits 0 when everything was.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

type operation struct {
	Model  string `json:"model"` // "claim" or "account"
	Key    string `json:"key"`
	Client int    `json:"client"`
	Call   int64  `json:"call"`
	Return int64  `json:"return"` // 0: never
	input
	output
}

type input struct {
	Op     string `json:"op"`
	ID     string `json:"id"`     // account: of an added deposit or a close. claim: who claims ("": nobody twice)
	Gate   string `json:"gate"`   // claim: the replica that was asked
	Amount int64  `json:"amount"` // account
	Debit  int64  `json:"debit"`  // account, open: what the first request costs
}

type output struct {
	Result  string `json:"result"` // "" with an operation that never ended
	Answer  string `json:"answer"` // claim, ok
	Deposit int64  `json:"deposit"`
	Spent   int64  `json:"spent"` // or `untold`
	Refund  int64  `json:"refund"`
	Closed  bool   `json:"closed"`
}

const untold = -1

// ---- a claim: whoever is first has it, and gets the same answer again -----------------------------

// A claim whose claimer was told that nobody knows (gate is where) may be delivered by that gate to
// the next who asks there with the same credential and key.
type claimState struct {
	held   bool
	holder string
	gate   string
	answer string
}

func claim(s claimState, in input, out output) (bool, claimState) {
	again := s.held && s.holder == in.ID && in.ID != ""
	doubtful := s.held && s.answer == "" && s.holder == in.ID && s.gate == in.Gate
	switch out.Result {
	case "":
		if !s.held {
			return true, claimState{held: true, holder: in.ID, gate: in.Gate}
		}
		return true, s
	case "ok":
		if !s.held || doubtful || again && s.answer == "" {
			return true, claimState{held: true, holder: in.ID, gate: in.Gate, answer: out.Answer}
		}
		return again && s.answer == out.Answer, s
	case "taken":
		return s.held && !again, s
	case "busy", "lost": // being delivered; delivered, and the answer is nowhere any more
		return again, s
	}
	return false, s
}

// ---- an account: a deposit, what is drawn from it, further deposits, the end -----------------------

type accountState struct {
	open    bool
	closed  bool
	deposit int64
	spent   int64
	added   string // ids, each between two blanks
	closer  string
	refund  int64
}

func account(s accountState, in input, out output) (bool, accountState) {
	unsure := out.Result == ""
	left := s.deposit - s.spent
	alive := s.open && !s.closed
	switch in.Op {
	case "open":
		return !s.open, accountState{open: true, deposit: in.Amount, spent: in.Debit, added: " "}
	case "debit":
		could := alive && left >= in.Amount
		switch {
		case unsure && !could:
			return true, s
		case unsure || out.Result == "ok":
			next := s
			next.spent += in.Amount
			return could, next
		case out.Result == "insufficient":
			return alive && left < in.Amount && (out.Spent == untold || out.Spent == s.spent), s
		}
		return out.Result == "closed" && s.closed, s
	case "add":
		known := strings.Contains(s.added, " "+in.ID+" ")
		switch {
		case out.Result == "busy":
			return known, s
		case out.Result == "closed":
			return s.closed && !known, s
		case known || unsure && !alive:
			return true, s
		}
		next := s
		next.deposit += in.Amount
		next.added += in.ID + " "
		return alive && (unsure || out.Result == "ok"), next
	case "close":
		switch {
		case out.Result == "busy":
			return s.closed && s.closer == in.ID, s
		case out.Result == "closed":
			return s.closed && s.closer != in.ID, s
		case unsure && !alive:
			return true, s
		case s.closed:
			return out.Result == "ok" && s.closer == in.ID && out.Refund == s.refund, s
		}
		next := s
		next.closed, next.closer, next.refund = true, in.ID, left
		return alive && (unsure || out.Result == "ok" && out.Refund == left), next
	case "read":
		return out.Result == "ok" && s.open && s.closed == out.Closed && s.deposit == out.Deposit &&
			out.Spent == s.spent, s
	}
	return false, s
}

// ---- ------------------------------------------------------------------------------------------

// Of all orders that differ in nothing that can be seen, one is tried, or a crowd at one key would have
// as many as it has subsets:
//   - What ended and changes nothing goes before all that could go now (in none of the models does such
//     an operation come to change something later).
//   - Of operations that asked the same and were told the same, who must go first goes first.

// crowd is the history of one key.
type crowd struct{ all []porcupine.Operation }

// member is an operation of it, as the models' input.
type member struct {
	input
	at int
	of *crowd
}

// gone is a state and who went before it, one bit each.
type gone[S comparable] struct {
	is  S
	who []uint64
}

func (g gone[S]) has(at int) bool { return at/64 < len(g.who) && g.who[at/64]>>(at%64)&1 == 1 }

func (g gone[S]) with(at int, is S) gone[S] {
	next := gone[S]{is: is, who: make([]uint64, max(len(g.who), at/64+1))}
	copy(next.who, g.who)
	next.who[at/64] |= 1 << (at % 64)
	return next
}

// before tells whether a, not b, is tried of two that are alike.
func (c *crowd) before(a, b int) bool {
	if c.all[a].Return != c.all[b].Return {
		return c.all[a].Return < c.all[b].Return
	}
	return a < b
}

func step[S comparable](f func(S, input, output) (bool, S)) func(s, in, out any) (bool, any) {
	idle := func(is S, one porcupine.Operation) bool {
		good, next := f(is, one.Input.(member).input, one.Output.(output))
		return good && next == is && one.Return != math.MaxInt64
	}
	return func(s, in, out any) (bool, any) {
		now, asked, told := s.(gone[S]), in.(member), out.(output)
		good, next := f(now.is, asked.input, told)
		if !good {
			return false, now
		}
		c := asked.of
		until := int64(math.MaxInt64) // who was called later must wait for somebody
		for at, one := range c.all {
			if !now.has(at) {
				until = min(until, one.Return)
			}
		}
		asks := idle(now.is, c.all[asked.at])
		for at, one := range c.all {
			if at == asked.at || now.has(at) || one.Call > until {
				continue
			}
			if idle(now.is, one) {
				if !asks || at < asked.at {
					return false, now
				}
			} else if one.Input.(member).input == asked.input && one.Output.(output) == told && c.before(at, asked.at) {
				return false, now
			}
		}
		return true, now.with(asked.at, next)
	}
}

// join makes a crowd of a history.
func join(history []porcupine.Operation) {
	c := &crowd{history}
	for at := range history {
		history[at].Input = member{history[at].Input.(input), at, c}
	}
}

// model of states that are compared without who is gone: porcupine knows that.
func model[S comparable](f func(S, input, output) (bool, S)) porcupine.Model {
	return porcupine.Model{
		Init:              func() any { return gone[S]{} },
		Step:              step(f),
		Equal:             func(a, b any) bool { return a.(gone[S]).is == b.(gone[S]).is },
		DescribeOperation: describe,
		DescribeState:     func(s any) string { return fmt.Sprintf("%+v", s.(gone[S]).is) },
	}
}

func describe(in, out any) string {
	i, o := in.(member), out.(output)
	told, _ := json.Marshal(o)
	return fmt.Sprintf("%s(%s %d) %s", i.Op, i.ID, i.Amount, told)
}

var models = map[string]porcupine.Model{"claim": model(claim), "account": model(account)}

type name struct{ model, key string }

func read(from io.Reader) (map[name][]porcupine.Operation, int, error) {
	histories := map[name][]porcupine.Operation{}
	open := 0
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		one := operation{output: output{Spent: untold}}
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return nil, 0, err
		}
		if _, known := models[one.Model]; !known {
			return nil, 0, fmt.Errorf("no model %q", one.Model)
		}
		if one.Return == 0 {
			one.Return, one.output = math.MaxInt64, output{}
			open++
		}
		at := name{one.Model, one.Key}
		histories[at] = append(histories[at], porcupine.Operation{
			ClientId: one.Client, Input: one.input, Output: one.output, Call: one.Call, Return: one.Return})
	}
	return histories, open, lines.Err()
}

func main() {
	limit := flag.Duration("for", 20*time.Second, "the most time for one key")
	draw := flag.String("draw", "", "where to draw the first history that was not ok")
	flag.Parse()
	histories, open, err := read(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	verdict, operations := "ok", 0
	var bad []string
	for at, history := range histories {
		operations += len(history)
		join(history)
		result, info := porcupine.CheckOperationsVerbose(models[at.model], history, *limit)
		if result == porcupine.Ok {
			continue
		}
		bad = append(bad, at.model+" "+at.key)
		if result == porcupine.Illegal {
			if *draw != "" && verdict != "illegal" {
				_ = porcupine.VisualizePath(models[at.model], info, *draw)
			}
			verdict = "illegal"
		} else if verdict == "ok" {
			verdict = "unknown"
		}
	}
	sort.Strings(bad)
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"verdict": verdict, "operations": operations, "open": open, "keys": len(histories), "bad": bad})
	if verdict != "ok" {
		os.Exit(1)
	}
}
