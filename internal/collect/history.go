package collect

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/redact"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// readHistory reads the answer of GET /images/{id}/history, which has the newest
// step first and does not tell a step without a layer from one whose layer is
// empty, unless the number of layers that the image has settles it.
func readHistory(list []json.RawMessage, layers int) ([]rawStep, string) {
	if len(list) == 0 {
		return nil, reasonNoHistory
	}
	steps := make([]rawStep, 0, min(len(list), maxSteps))
	filled, maybe := 0, 0
	for _, raw := range slices.Backward(list) {
		var body struct {
			Created   int64
			CreatedBy string
			Comment   string
			Size      int64
		}
		if err := decode("an image's history", raw, &body); err != nil {
			return nil, reasonUnreadable
		}
		step := rawStep{CreatedBy: body.CreatedBy, Comment: body.Comment, EmptyLayer: body.Size == 0, size: body.Size}
		if body.Created > 0 && body.Created < 1<<37 {
			step.Created = time.Unix(body.Created, 0).UTC().Format(time.RFC3339)
		}
		switch {
		case !step.EmptyLayer:
			filled++
		case mayMakeLayer(body.CreatedBy):
			step.maybeEmpty = true
			maybe++
		}
		steps = append(steps, step)
		if len(steps) > maxSteps {
			break // the rest is cut off where steps become facts
		}
	}
	for i := range steps {
		step := &steps[i]
		if filled+maybe == layers { // all that may have made one did
			step.EmptyLayer = step.EmptyLayer && !step.maybeEmpty
		}
		step.maybeEmpty = step.maybeEmpty && filled != layers && filled+maybe != layers
	}
	return steps, ""
}

// mayMakeLayer is false for steps that only change how an image is run.
func mayMakeLayer(createdBy string) bool {
	text, _ := shorten(createdBy, maxStepBytes)
	s, _ := parseStep(text)
	return s.Instruction == "" || slices.Contains([]string{"ADD", "COPY", "RUN", "WORKDIR"}, s.Instruction)
}

// stepFacts makes facts of an image's history, with its packages.
func (i *foundImage) stepFacts(out *facts.Image, reader *stepReader) {
	hide := func(path, reason string) {
		out.Unseen = append(out.Unseen, workload.Unseen{Path: path, Reason: reason})
	}
	if i.noHistory != "" {
		for _, path := range []string{"history", "packages", "layer_steps", "layer_bytes"} {
			hide(path, i.noHistory)
		}
		return
	}
	open := ""
	var names []string
	for n, raw := range i.steps {
		if n == maxSteps {
			open = fmt.Sprintf("it has more than %d steps", maxSteps)
			break
		}
		parsed, ok := reader.read(raw.CreatedBy)
		if !ok {
			open = "the images have more history than is kept"
			break
		}
		s := parsed.ImageStep
		s.Number = int64(n + 1)
		comment, _ := shorten(raw.Comment, maxCommentBytes)
		s.Comment, _, _ = redact.Text(comment)
		if parsed.cut || parsed.endless {
			open = "a step of it is too long"
			if parsed.endless {
				open = "where the build arguments of a step end cannot be told"
			}
			s.Command = ""
			for _, path := range []string{"command", "variables" + workload.Open, "secrets" + workload.Open} {
				hide(fmt.Sprintf("history[%d].%s", n, path), open)
			}
		}
		// A shell of the image's own is no sign of RUN, but files that a command made are.
		if s.Instruction == "" && !raw.EmptyLayer && s.Command != "" && s.Command[0] != '#' {
			s.Instruction = "RUN"
		}
		if s.Instruction == "RUN" {
			names = append(names, parsed.packages...)
		}
		out.History = append(out.History, s)
	}
	whole := i.layerFacts(out, hide)
	if len(out.History) < len(i.steps) {
		hide("history"+workload.Open, open)
	} else if !whole {
		open = "its history does not have all of its layers"
		hide("history"+workload.Open, open)
	}
	out.Packages = unique(names)
	if len(out.Packages) > maxPackages {
		out.Packages, open = out.Packages[:maxPackages], "it has more of them"
	}
	if open != "" {
		hide("packages"+workload.Open, open)
	}
}

// layerFacts says which steps made the layers, and how large these are. It is false
// where the steps are known not to have made all layers.
func (i *foundImage) layerFacts(out *facts.Image, hide func(path, reason string)) bool {
	sized, doubt := true, false
	for n, raw := range i.steps {
		doubt = doubt || raw.maybeEmpty
		if raw.EmptyLayer {
			continue
		}
		out.LayerSteps = append(out.LayerSteps, int64(n+1))
		out.LayerBytes = append(out.LayerBytes, max(0, raw.size))
		sized = sized && raw.size >= 0
	}
	whole := doubt || len(out.LayerSteps) == len(i.layers)
	if doubt || !whole {
		out.LayerSteps, out.LayerBytes, sized = []int64{}, []int64{}, false
		hide("layer_steps", "which steps made layers cannot be told")
	}
	if !sized {
		out.LayerBytes = []int64{}
		hide("layer_bytes", "the sizes of its layers are not known")
	}
	return whole
}
