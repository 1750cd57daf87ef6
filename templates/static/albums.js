// The order of an album: a photo is dragged by its handle, or picked up and moved by keys. Each move is saved at once.
// Without this script the buttons above the photos do it.
(() => {
	'use strict';

	const form = document.querySelector('.organise');
	const list = form?.querySelector('.grid');
	if (!list) return;
	const first = +form.dataset.place;
	const idOf = (item) => item.querySelector('.pick').value;
	const titleOf = (item) => item.querySelector('.cap bdi').textContent;
	const placeOf = (item) => first + [...list.children].indexOf(item);

	const bar = document.createElement('div');
	bar.className = 'moved';
	bar.hidden = true;
	const said = document.createElement('span');
	said.role = 'status';
	const undo = document.createElement('button');
	undo.type = 'button';
	undo.textContent = 'Undo';
	bar.append(said, undo);
	const how = document.createElement('p');
	how.className = 'unseen';
	how.id = 'how-to-move';
	how.textContent = 'Press Enter to pick the photo up, arrow keys to move it, Enter to put it down, Escape to leave it.';
	form.append(how, bar);

	const say = (text, back) => {
		said.textContent = text;
		undo.hidden = !back;
		undo.onclick = back;
		bar.hidden = false;
	};
	const tell = (item) => `${titleOf(item)}: place ${placeOf(item)} of ${form.dataset.total}`;

	// A request that gets no answer is made again with its key, and done once.
	const post = async (body) => {
		for (let wait = 500; ; wait *= 2) {
			try {
				const answer = await fetch(form.action, { method: 'POST', body, headers: { Accept: 'application/json' } });
				if (answer.status < 500) return answer.ok && answer.headers.get('Content-Type') === 'application/json';
			} catch { /* no answer */ }
			if (wait > 4000) return false;
			await new Promise((done) => setTimeout(done, wait));
		}
	};

	let saved = Promise.resolve();
	const save = (item, back) => {
		const before = item.previousElementSibling;
		const body = new URLSearchParams({
			key: [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join(''),
			photos: idOf(item),
			do: before ? 'after' : 'before',
			at: idOf(before ?? item.nextElementSibling),
		});
		saved = saved.then(() => post(body)).then((done) => {
			if (done) {
				say(tell(item), back && (() => { back(); save(item); }));
			} else {
				back?.();
				say(`${titleOf(item)} could not be moved. Reload the page and try again.`);
			}
		});
	};
	// Puts a photo before another one, or last, and saves that.
	const put = (item, next, from = item.nextElementSibling) => {
		if (item.nextElementSibling !== next) list.insertBefore(item, next);
		if (item.nextElementSibling !== from) save(item, () => list.insertBefore(item, from));
	};

	for (const item of list.children) {
		const handle = document.createElement('button');
		handle.type = 'button';
		handle.className = 'handle';
		handle.setAttribute('aria-label', `Move ${titleOf(item)}`);
		handle.setAttribute('aria-describedby', how.id);
		item.append(handle);

		// The photo behind it when it was picked up by keys; undefined: it is not.
		let from;
		const drop = () => {
			if (from === undefined) return;
			const next = from;
			from = undefined;
			item.classList.remove('held');
			put(item, item.nextElementSibling, next);
		};
		handle.addEventListener('click', (event) => {
			// By a pointer.
			if (event.detail > 0) return;
			if (from !== undefined) return drop();
			from = item.nextElementSibling;
			item.classList.add('held');
			say(`${tell(item)}, picked up`);
		});
		handle.addEventListener('keydown', (event) => {
			if (from === undefined) return;
			const next = {
				ArrowLeft: item.previousElementSibling ?? item, ArrowUp: item.previousElementSibling ?? item,
				ArrowRight: item.nextElementSibling?.nextElementSibling, ArrowDown: item.nextElementSibling?.nextElementSibling,
				Home: list.firstElementChild, End: null, Escape: from,
			}[event.key];
			if (next === undefined && !/^Arrow(Right|Down)$/.test(event.key)) return;
			event.preventDefault();
			event.stopPropagation();
			const was = from;
			// What leaves the document loses the focus, and is not put down for that.
			from = undefined;
			if (next !== item) list.insertBefore(item, next ?? null);
			handle.focus();
			if (event.key === 'Escape') {
				item.classList.remove('held');
				return say(`${tell(item)}, left`);
			}
			from = was;
			say(tell(item));
		});
		handle.addEventListener('blur', drop);

		// What it is dragged over.
		let over;
		const end = () => {
			item.classList.remove('held');
			over?.classList.remove('into', 'behind');
			handle.onpointermove = handle.onpointerup = handle.onpointercancel = null;
		};
		handle.addEventListener('pointerdown', (event) => {
			if (event.button) return;
			over = undefined;
			handle.setPointerCapture(event.pointerId);
			item.classList.add('held');
			handle.onpointermove = ({ clientX, clientY }) => {
				over?.classList.remove('into', 'behind');
				const edge = 64;
				if (clientY < edge || clientY > innerHeight - edge) scrollBy(0, clientY < edge ? -edge / 4 : edge / 4);
				over = document.elementFromPoint(clientX, clientY)?.closest('.grid li');
				if (!over) return;
				const { left, width } = over.getBoundingClientRect();
				over.classList.add('into');
				over.classList.toggle('behind', clientX > left + width / 2);
			};
			handle.onpointerup = () => {
				const behind = over?.classList.contains('behind');
				end();
				if (over && over !== item) put(item, behind ? over.nextElementSibling : over);
			};
			handle.onpointercancel = end;
		});
	}
})();
