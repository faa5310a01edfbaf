package gate

import (
	"context"
	"strings"
	"syscall"
	"time"
)

// interactive are commands on a terminal: what they say, their resizes, and how they are
// left.
var interactive = []step{
	{line: "run on a terminal", outside: true, do: func(s *side) outcome {
		o := s.typed("docker run -it --rm --name term web:1 "+prompt, func(p *terminal) {
			p.expect("ready")
			resized(p, "24 80")
			p.resize(40, 100)
			resized(p, "40 100")
			p.types("exit 5\n")
		})
		return outcome{Code: o.Code}
	}},
	{line: "detach, attach and end", outside: true, do: func(s *side) outcome {
		first := s.typed("docker run -it --name det web:1 "+prompt, func(p *terminal) {
			p.expect("ready")
			p.types("\x10\x11") // ctrl-p ctrl-q
		})
		second := s.typed("docker attach --detach-keys ctrl-x det", func(p *terminal) {
			p.types("echo $((40+2))\n")
			p.expect("42")
			p.types("\x18")
		})
		third := s.typed("docker attach det", func(p *terminal) {
			p.types("exit 6\n")
		})
		s.run("docker rm -f det", "")
		return outcome{Code: 100*first.Code + 10*second.Code + third.Code}
	}},
	{line: "exec on a terminal", outside: true, do: func(s *side) outcome {
		s.run("docker run -d --name ex web:1 sleep 100000", "")
		o := s.typed("docker exec -it -e A=b ex "+prompt, func(p *terminal) {
			p.expect("ready")
			resized(p, "24 80")
			p.types("echo the $A\n")
			p.expect("the b")
			p.resize(30, 90)
			resized(p, "30 90")
			p.types("exit 7\n")
		})
		s.run("docker rm -f ex", "")
		return outcome{Code: o.Code}
	}},
}

// prompt is a shell that does what it is told, without a prompt.
const prompt = `sh -c 'echo ready; while read line; do eval "$line"; done'`

// typed is a line on a terminal, with what is done there.
func (s *side) typed(line string, do func(*terminal)) outcome {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p := s.onTerminal(ctx, line)
	do(p)
	return p.end()
}

// resized asks for the size until it is this one. The client tells no change that comes
// while it begins.
func resized(p *terminal, size string) {
	p.t.Helper()
	eventually(p.t, func() bool {
		if err := p.cmd.Process.Signal(syscall.SIGWINCH); err != nil {
			p.t.Error(err)
		}
		p.types("stty size\n")
		time.Sleep(50 * time.Millisecond)
		return strings.Contains(p.text(), size)
	}, func() string { return size })
}
