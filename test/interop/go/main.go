// Command interop compares Lineproof's trees with those of golang.org/x/mod/sumdb/tlog, which shares no code with them.
//
//	interop vectors          prints roots and proofs that tlog computes, as test/vectors/tree/tlog.json
//	interop check <folder>   reads logs/<shard>/ as a tlog client does: tiles against the checkpoint, every leaf against the tiles
//	interop proof <key> <file>...  checks C2SP tlog-proofs by a log key: the note by sumdb/note, the leaf by sumdb/tlog
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "vectors":
		return printVectors()
	case len(args) == 2 && args[0] == "check":
		size, root, err := checkLog(args[1])
		if err != nil {
			return err
		}
		fmt.Printf("ok %d %s\n", size, root)
		return nil
	}
	if len(args) > 2 && args[0] == "proof" {
		for _, file := range args[2:] {
			index, size, err := checkProof(args[1], file)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			fmt.Printf("ok %d %d\n", index, size)
		}
		return nil
	}
	return errors.New("usage: interop vectors | interop check <folder> | interop proof <key> <file>...")
}

// hashStore keeps hashes as tlog numbers them.
type hashStore []tlog.Hash

func (s hashStore) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(s)) {
			return nil, fmt.Errorf("hash %d is not stored", index)
		}
		hashes[i] = s[index]
	}
	return hashes, nil
}

type inclusionVector struct {
	Size  int64    `json:"size"`
	Index int64    `json:"index"`
	Path  []string `json:"path"`
}

type consistencyVector struct {
	Old  int64    `json:"old"`
	New  int64    `json:"new"`
	Path []string `json:"path"`
}

type vectors struct {
	Source      string              `json:"source"`
	Leaves      string              `json:"leaves"`
	Roots       map[string]string   `json:"roots"`
	Inclusion   []inclusionVector   `json:"inclusion"`
	Consistency []consistencyVector `json:"consistency"`
}

func printVectors() error {
	const most = 5000
	var store hashStore
	roots := map[int64]tlog.Hash{}
	for n := int64(0); n < most; n++ {
		hashes, err := tlog.StoredHashes(n, fmt.Appendf(nil, "leaf %d", n), store)
		if err != nil {
			return err
		}
		store = append(store, hashes...)
	}
	out := vectors{
		Source: "golang.org/x/mod/sumdb/tlog v0.43.0, by `go run . vectors` in test/interop/go",
		Leaves: "leaf <n>, UTF-8, n decimal from 0",
		Roots:  map[string]string{},
	}
	for _, n := range []int64{1, 2, 3, 7, 8, 9, 63, 64, 65, 255, 256, 257, 511, 512, 513, 1000, 1023, 1024, 1025, 4095, 4096, 4097, 5000} {
		root, err := tlog.TreeHash(n, store)
		if err != nil {
			return err
		}
		roots[n] = root
		out.Roots[fmt.Sprint(n)] = hex(root)
	}
	for _, at := range [][2]int64{{1, 0}, {2, 1}, {3, 2}, {255, 0}, {256, 255}, {257, 256}, {257, 3}, {1025, 1024}, {1025, 512}, {4097, 4096}, {5000, 0}, {5000, 4096}, {5000, 4999}, {5000, 2500}} {
		proof, err := tlog.ProveRecord(at[0], at[1], store)
		if err != nil {
			return err
		}
		out.Inclusion = append(out.Inclusion, inclusionVector{at[0], at[1], hexes(proof)})
	}
	for _, at := range [][2]int64{{1, 1}, {1, 2}, {2, 3}, {3, 7}, {8, 9}, {255, 256}, {256, 257}, {257, 513}, {512, 5000}, {4095, 4096}, {4096, 4097}, {4097, 5000}, {1000, 1023}} {
		proof, err := tlog.ProveTree(at[1], at[0], store)
		if err != nil {
			return err
		}
		out.Consistency = append(out.Consistency, consistencyVector{at[0], at[1], hexes(tlog.RecordProof(proof))})
	}
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	return nil
}

func hex(hash tlog.Hash) string { return fmt.Sprintf("%x", hash[:]) }

func hexes(proof tlog.RecordProof) []string {
	texts := []string{}
	for _, hash := range proof {
		texts = append(texts, hex(hash))
	}
	return texts
}

// folder reads tiles from a log's folder, as a tlog client reads them from a server.
type folder string

func (f folder) Height() int                                { return tileHeight }
func (f folder) SaveTiles(tiles []tlog.Tile, data [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		read, err := f.read(path(tile))
		if err != nil {
			return nil, err
		}
		data[i] = read
	}
	return data, nil
}

func (f folder) read(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(f), filepath.FromSlash(name)))
}

// path is the tile's path in C2SP tlog-tiles: without the height, which is always 8, and with "entries" for "data".
func path(tile tlog.Tile) string {
	name := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tile.H))
	return "tile/" + strings.Replace(name, "data/", "entries/", 1)
}

// checkLog computes the root from the tiles alone, compares it with the checkpoint's, then checks that every leaf of every bundle is
// proven by the tiles, and that the folder holds every file that this size needs. It does not check signatures.
func checkLog(name string) (int64, tlog.Hash, error) {
	log := folder(name)
	note, err := log.read("checkpoint")
	if errors.Is(err, fs.ErrNotExist) {
		note, err = log.read("signed")
	}
	if err != nil {
		return 0, tlog.Hash{}, err
	}
	size, want, err := parseCheckpoint(note)
	if err != nil {
		return 0, tlog.Hash{}, err
	}
	reader := tlog.TileHashReader(tlog.Tree{N: size, Hash: want}, log)
	root, err := tlog.TreeHash(size, reader)
	if err != nil {
		return 0, tlog.Hash{}, err
	}
	if root != want {
		return 0, tlog.Hash{}, fmt.Errorf("tiles give root %s, the checkpoint says %s", root, want)
	}
	if err := checkTiles(log, size); err != nil {
		return 0, tlog.Hash{}, err
	}
	return size, root, checkLeaves(log, size, root, reader)
}

// checkTiles checks that each tile of this size is stored under its own width and has the right length.
func checkTiles(log folder, size int64) error {
	for _, tile := range tlog.NewTiles(tileHeight, 0, size) {
		data, err := log.read(path(tile))
		if err != nil {
			return err
		}
		if len(data) != tile.W*tlog.HashSize {
			return fmt.Errorf("%s has %d bytes", path(tile), len(data))
		}
	}
	return nil
}

func checkLeaves(log folder, size int64, root tlog.Hash, reader tlog.HashReader) error {
	for first := int64(0); first < size; first += 1 << tileHeight {
		width := int(min(size-first, 1<<tileHeight))
		tile := tlog.Tile{H: tileHeight, L: -1, N: first >> tileHeight, W: width}
		bundle, err := log.read(path(tile))
		if err != nil {
			return err
		}
		for i := range width {
			if len(bundle) < 2 || len(bundle) < 2+int(bundle[0])<<8+int(bundle[1]) {
				return fmt.Errorf("%s is cut at leaf %d", path(tile), i)
			}
			end := 2 + int(bundle[0])<<8 + int(bundle[1])
			index := first + int64(i)
			proof, err := tlog.ProveRecord(size, index, reader)
			if err != nil {
				return fmt.Errorf("leaf %d: %w", index, err)
			}
			if err := tlog.CheckRecord(proof, size, root, index, tlog.RecordHash(bundle[2:end])); err != nil {
				return fmt.Errorf("leaf %d: %w", index, err)
			}
			bundle = bundle[end:]
		}
		if len(bundle) > 0 {
			return fmt.Errorf("%s goes on after its last leaf", path(tile))
		}
	}
	return nil
}

// parseCheckpoint reads size and root of a C2SP checkpoint: origin, size, root, empty line, signatures.
func parseCheckpoint(note []byte) (int64, tlog.Hash, error) {
	lines := bytes.SplitN(note, []byte("\n"), 4)
	if len(lines) < 4 {
		return 0, tlog.Hash{}, errors.New("checkpoint has not three lines")
	}
	var size int64
	if _, err := fmt.Sscanf(string(lines[1]), "%d", &size); err != nil {
		return 0, tlog.Hash{}, err
	}
	root, err := tlog.ParseHash(string(lines[2]))
	return size, root, err
}

// checkProof checks one tlog-proof: the note is signed by the log key, and the leaf in the extra data is in the note's tree.
func checkProof(key, file string) (int64, int64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, err
	}
	head, signed, found := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return 0, 0, errors.New("not a tlog-proof with extra data")
	}
	extra, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return 0, 0, err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return 0, 0, err
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(hash) != tlog.HashSize {
			return 0, 0, fmt.Errorf("not a hash: %s", line)
		}
		proof = append(proof, tlog.Hash(hash))
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return 0, 0, err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return 0, 0, err
	}
	size, root, err := parseCheckpoint([]byte(opened.Text + "\n"))
	if err != nil {
		return 0, 0, err
	}
	// The extra data begins with the leaf: an Avro length, then its bytes.
	length, used := binary.Varint(extra)
	if used <= 0 || length < 0 || int64(len(extra)) < int64(used)+length {
		return 0, 0, errors.New("the extra data holds no leaf")
	}
	leaf := extra[used : int64(used)+length]
	return index, size, tlog.CheckRecord(proof, size, root, index, tlog.RecordHash(leaf))
}
